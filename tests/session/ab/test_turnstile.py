import os
import signal
import threading

import pytest

from harness.errors import BadConfig
from harness.session.ab import turnstile
from harness.session.ab.turnstile import (
    Ended,
    Leave,
    PeerGone,
    PeerSilent,
    PreparationStep,
    Ready,
    TurnstileConnection,
    follow,
    inherited,
)


@pytest.fixture
def ends():
    """The two ends of a line."""
    (one, other_writer), (other_reader, other) = os.pipe(), os.pipe()
    leader, follower = (
        TurnstileConnection.from_descriptors(one, other),
        TurnstileConnection.from_descriptors(other_reader, other_writer),
    )
    yield leader, follower
    leader.close()
    follower.close()


class Session:
    """Takes turns; *lost* maps a turn to what it ends its case with, *broken* are turns that are broken off."""

    order = ("x#1", "y#1", "x#2")
    longest_s = 7.5

    def __init__(self, lost=(), broken=()):
        self.taken, self.kept, self._lost, self.broken = [], None, dict(lost), broken

    def take(self, turn):
        self.taken.append(turn)
        if turn in self.broken:
            threading.Event().wait()  # without end
        return self._lost.get(turn)

    def settle(self, keep):
        self.kept = keep


def followed(ends, session, *leaves):
    """What a session says that is given these *leaves*, each once it has answered the one before."""
    leader, follower = ends
    messages = []

    def lead():
        messages.append(leader.receive(Ready))
        for leave in leaves:
            leader.send(leave)
            if leave.turn is not None and leave.turn not in session.broken:
                messages.append(leader.receive(Ended))

    leading = threading.Thread(target=lead)
    leading.start()
    follow(session, follower)
    leading.join()
    return messages


def test_a_session_takes_the_turns_it_gets_leave_for_and_no_others(ends):
    session = Session(lost={"y#1": "oom: too large"})
    messages = followed(ends, session, Leave(turn="y#1"), Leave(turn="x#2"), Leave(turn=None, keep={"x": 1}))
    assert session.taken == ["y#1", "x#2"]
    assert messages == [
        Ready(order=("x#1", "y#1", "x#2"), longest_s=7.5),
        Ended(turn="y#1", lost="oom: too large"),
        Ended(turn="x#2", lost=None),
    ]
    assert session.kept == {"x": 1}


def test_a_turn_that_is_broken_off_is_not_told_and_what_is_kept_is_still_heard(ends, monkeypatch):
    monkeypatch.setattr(turnstile, "_AGAIN_S", 0.01)
    session = Session(broken=("x#2",))
    messages = followed(ends, session, Leave(turn="x#1"), Leave(turn="x#2"), Leave(turn=None, keep={"x": 1, "y": 0}))
    assert messages[1:] == [Ended(turn="x#1", lost=None)]
    assert session.kept == {"x": 1, "y": 0}


def test_only_while_it_measures_can_a_session_be_interrupted(ends):
    handlers = []

    class Listening(Session):
        def take(self, turn):
            handlers.append(signal.getsignal(signal.SIGINT))

        def settle(self, keep):
            handlers.append(signal.getsignal(signal.SIGINT))

    handler = signal.getsignal(signal.SIGINT)
    mine = signal.signal(signal.SIGINT, lambda *_: None) and signal.getsignal(signal.SIGINT)
    try:
        followed(ends, Listening(), Leave(turn="x#1"), Leave(turn=None))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert handlers == [signal.default_int_handler, mine]


def test_without_the_other_end_a_session_neither_waits_nor_settles(ends):
    leader, follower = ends
    leader.writer.close()
    session = Session()
    with pytest.raises(PeerGone, match="is gone"):
        follow(session, follower)
    assert (session.taken, session.kept) == ([], None)


def test_when_the_other_end_goes_in_the_middle_of_a_turn_the_turn_is_broken_off(ends):
    leader, follower = ends

    class Abandoned(Session):
        def take(self, turn):
            self.taken.append(turn)
            leader.close()
            while True:  # until it is broken off
                os.sched_yield()

    leader.send(Leave(turn="x#2"))
    session = Abandoned()
    with pytest.raises(PeerGone, match="is gone"):
        follow(session, follower)
    assert (session.taken, session.kept) == (["x#2"], None)


def test_who_is_not_stopped_by_the_first_interruption_gets_another(ends, monkeypatch):
    monkeypatch.setattr(turnstile, "_AGAIN_S", 0.0)
    leader, follower = ends
    interruptions = []
    handler = signal.signal(signal.SIGINT, lambda *_: interruptions.append(1))
    try:
        with follower.watched():
            leader.close()
            while len(interruptions) < 3:
                os.sched_yield()
    finally:
        signal.signal(signal.SIGINT, handler)


def test_what_is_over_is_not_interrupted_any_more(ends):
    leader, follower = ends
    threads = threading.active_count()
    with follower.watched():
        pass
    leader.close()
    assert threading.active_count() == threads


def test_what_takes_long_is_heard_while_a_word_is_waited_for_and_silence_ends(ends):
    leader, follower = ends
    follower.send(PreparationStep(what="preparing"))
    follower.send(Ended(turn="x#1", lost=None))
    assert [leader.hear(Ended, 60.0) for _ in range(2)] == [
        PreparationStep(what="preparing"),
        Ended(turn="x#1", lost=None),
    ]
    with pytest.raises(PeerSilent, match="said nothing for 0 s"):
        leader.hear(Ended, 0.0)


def test_what_nobody_can_read_any_more_is_not_sent(ends):
    leader, follower = ends
    follower.close()
    with pytest.raises(PeerGone, match="is gone"):
        leader.send(Leave(turn="x#1"))


@pytest.mark.parametrize("line", [b"hello\n", b'{"turn":"x#1","lost":null}\n', b'{"order":["x#1"]', b""])
def test_a_line_that_is_not_what_is_due_or_not_whole_is_no_answer(ends, line):
    leader, follower = ends
    follower.writer.write(line)
    follower.writer.close()
    with pytest.raises(PeerGone, match="of the turnstile"):
        leader.receive(Ready)


def test_a_line_is_taken_over_by_its_two_descriptors_which_nobody_inherits(ends):
    (reader, other_writer), (other_reader, writer) = os.pipe(), os.pipe()
    for descriptor in (reader, writer):
        os.set_inheritable(descriptor, True)
    line = inherited(f"{reader},{writer}")
    os.write(other_writer, b'{"turn":"x#1"}\n')
    assert line.receive(Leave) == Leave(turn="x#1")
    line.send(Ended(turn="x#1", lost=None))
    assert os.read(other_reader, 100) == b'{"turn":"x#1","lost":null}\n'
    assert not os.get_inheritable(reader)
    assert not os.get_inheritable(writer)
    line.close()
    os.close(other_writer)
    os.close(other_reader)


@pytest.mark.parametrize("text", ["", "3", "a,b", "-1,2", "3,4,5", f"{10**30},1", "991,992"])
def test_descriptors_that_are_no_pipes_are_refused(text):
    with pytest.raises(BadConfig, match="--turnstile: 1 problem"):
        inherited(text)


def test_a_file_is_no_pipe(tmp_path):
    with (tmp_path / "file").open("w+b") as file, pytest.raises(BadConfig):
        inherited(f"{file.fileno()},{file.fileno()}")
