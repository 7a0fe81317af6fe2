"""Sessions that do not go on: each is a program of a few lines, which never ends by itself."""

import sys
from pathlib import Path

import pytest

from harness.session.ab.arms import PreparedArm
from harness.session.ab.side import SideLost, SideSession

HEAD = f"""#!{sys.executable}
import os, signal, sys
print("the last words", flush=True)
reader, writer = map(int, sys.argv[sys.argv.index("--turnstile") + 1].split(","))
"""
READY = r"""os.write(writer, b'{"order": ["x#1"], "longest_s": 0}\n')""" + "\n"
DOING = r"""os.write(writer, b'{"what": "preparing tiny"}\n')""" + "\n"
FOREVER = "while True: signal.pause()\n"


@pytest.fixture
def start(tmp_path):
    """Starts a side that does this and then nothing more, and gives it with what it says."""
    started = []

    def start(does):
        script, messages = tmp_path / "python", []
        script.write_text(HEAD + does + FOREVER, encoding="utf-8")
        script.chmod(0o755)
        arm = PreparedArm(text="same", python=script, directory=Path.cwd(), variables={}, facts={})
        side = SideSession.start("B", arm, (), directory=tmp_path / "run", repeats=1, say=messages.append)
        started.append(side)
        return side, messages

    yield start
    for side in started:
        side.close(keep=False)


def test_one_that_never_says_a_word_is_killed(start, monkeypatch):
    monkeypatch.setattr("harness.session.ab.side._FIRST_WORD_S", 0.0)
    side, messages = start("")
    with pytest.raises(SideLost, match=r"side B \(same\): its session said nothing for 0 s; it was killed"):
        side.ready()
    assert side.process.returncode == -9
    assert messages == []


def test_one_that_hangs_over_what_it_does_first_is_killed_and_has_said_what_that_is(start, monkeypatch):
    monkeypatch.setattr("harness.session.ab.side._STEP_S", 0.0)
    side, messages = start(DOING)
    with pytest.raises(SideLost, match=r"said nothing for 0 s; it was killed\n  the last words"):
        side.ready()
    assert messages == ["B: preparing tiny"]


def test_one_that_hangs_in_a_turn_is_killed(start, monkeypatch):
    monkeypatch.setattr("harness.session.ab.side._GRACE_S", 0.0)
    side, messages = start(DOING + READY)
    assert side.ready() == ("x#1",)
    with pytest.raises(SideLost, match="said nothing for 0 s; it was killed"):
        side.take("x#1")
    assert messages == ["B: preparing tiny"]


def test_one_that_does_not_end_when_it_is_told_to_is_killed(start, monkeypatch):
    monkeypatch.setattr("harness.session.ab.side._END_S", 0.0)
    side, _ = start(READY)
    side.ready()
    side.stop({})
    with pytest.raises(SideLost, match="did not end within 0 s; it was killed"):
        side.wait()
    assert side.process.returncode == -9


def test_one_that_gives_up_its_line_and_stays_is_killed(start, monkeypatch):
    monkeypatch.setattr("harness.session.ab.side._END_S", 0.0)
    side, _ = start("os.close(reader)\nos.close(writer)\n")
    with pytest.raises(SideLost, match="gave up its line and did not end within 0 s; it was killed"):
        side.ready()
    assert side.process.returncode == -9
