import os
import signal

import pytest

from harness.machine.signals import Stop, stoppable


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_each_signal_interrupts_and_has_the_exit_code_a_shell_gives_it(number, code):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    with stoppable() as stop, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert stop.exit_code == code
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before == [signal.SIG_DFL] * 2


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop == Stop()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
