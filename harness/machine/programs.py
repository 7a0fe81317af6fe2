"""Runs another program to its end and gives what it said. Unlike `system`, it waits as long as that takes."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.paths import without_home

_LAST_LINES = 8  # of what a failed program said: pip says why at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a program: *output* is its standard output, *said* the last lines of what it complained of."""

    ok: bool
    output: str
    said: str


def run(words: Sequence[str], *, directory: Path, unset: Sequence[str] = ()) -> Done:
    """Run a program in *directory*, without the environment variables *unset*; not found is failed."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            words,
            cwd=directory,
            env={name: value for name, value in os.environ.items() if name not in unset},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return Done(ok=False, output="", said=f"{words[0]}: {error.strerror or error}")
    said = (
        _last_lines(done.stderr) or _last_lines(done.stdout) or f"nothing, and ended with exit code {done.returncode}"
    )
    return Done(ok=done.returncode == 0, output=done.stdout.strip(), said=without_home(said))


def _last_lines(printed: str) -> str:
    """The end of an output, without warnings: they are not why something failed."""
    lines = [line.rstrip() for line in printed.splitlines() if line.strip() and not line.startswith("WARNING")]
    return "\n  ".join(lines[-_LAST_LINES:])
