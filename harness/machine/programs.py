"""Run another program to its end and return its output. Unlike `os_queries`, there is no time limit."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.paths import without_home

_LAST_LINES = 8  # of the output of a failed program: pip prints the reason at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramResult:
    """Result of a program: *output* is its standard output, *complaint* the last lines of its error messages."""

    ok: bool
    output: str
    complaint: str


def run(words: Sequence[str], *, directory: Path, unset: Sequence[str] = ()) -> ProgramResult:
    """Run a program in *directory*, without the environment variables *unset*; a missing program counts as failed."""
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
        return ProgramResult(ok=False, output="", complaint=f"{words[0]}: {error.strerror or error}")
    complaint = (
        _last_lines(done.stderr) or _last_lines(done.stdout) or f"nothing, and ended with exit code {done.returncode}"
    )
    return ProgramResult(ok=done.returncode == 0, output=done.stdout.strip(), complaint=without_home(complaint))


def _last_lines(printed: str) -> str:
    """Return the end of an output, without warnings: they are not the reason of a failure."""
    lines = [line.rstrip() for line in printed.splitlines() if line.strip() and not line.startswith("WARNING")]
    return "\n  ".join(lines[-_LAST_LINES:])
