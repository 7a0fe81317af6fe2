"""Terminal output of a session: one line per case, a line rewritten while a case runs, and tables at the end."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import pytest
from tabulate import tabulate

from harness.commands import gate_text
from harness.errors import HarnessError
from harness.gate.verdicts import GateResult
from harness.inputs.protocol import Progress
from harness.machine.clock import monotonic_s
from harness.report.headline import headline, headline_cells
from harness.results.records import Record, RunInfo, Status
from harness.session.schedule import Turn
from harness.session.session import Session

_CLEAR_LINE = "\r\x1b[2K"
_MIN_INTERVAL_S = 0.25  # between two rewrites of the progress line; chosen
_T = TypeVar("_T")


class Terminal:
    """Writer on pytest's own reporter, which takes care of capturing, -q, pipes and colors."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._progress_line_shown = False
        self._last_progress_s = 0.0
        self._warnings: tuple[str, ...] = ()

    @property
    def one_line_a_case(self) -> bool:
        """True if each case gets a line, which -q turns off."""
        return bool(self._config.get_verbosity() >= 0)

    @property
    def _reporter(self) -> "pytest.TerminalReporter | None":
        return self._config.pluginmanager.get_plugin("terminalreporter")

    def say(self, text: str) -> None:
        """Write *text* as the progress line, which the next line replaces; only on a terminal."""
        reporter = self._reporter
        if reporter is None or not reporter.isatty or not self.one_line_a_case:
            return
        width = reporter._tw.fullwidth - 1  # noqa: SLF001 - pytest offers no other way to its width
        with self._uncaptured():
            reporter.write(f"{_CLEAR_LINE}{text[:width]}", flush=True)
        self._progress_line_shown = True

    def progress(self, turn: Turn, progress: Progress) -> None:
        """Show the progress of a case, a few times a second at most, so that showing it does not disturb measuring."""
        now_s = monotonic_s()
        if now_s - self._last_progress_s >= _MIN_INTERVAL_S:
            self._last_progress_s = now_s
            self.say(f"{turn.case.id} #{turn.number}  {progress.done}/{progress.total}  {progress.text}")

    def turn_ended(self, turn: Turn, ended: str) -> None:
        """Write one line per process where there is no progress line.

        Cases that take turns get their own line only after the last round.
        """
        reporter = self._reporter
        if reporter is None or reporter.isatty or not self.one_line_a_case:
            return
        with self._uncaptured():
            reporter.ensure_newline()
            reporter.write_line(f"  {turn.case.id} process {turn.number}: {ended}")

    def unfinished(self, run: RunInfo) -> None:
        """Print the command that resumes an interrupted run."""
        if self._reporter is not None:
            self._clear()
            self._reporter.write_line(f"run {run.id} is not finished; go on with: pytest suites/ --resume {run.id}")

    def session_starts(self, run: RunInfo) -> None:
        """Print the run's name, profile and warnings, before anything is measured."""
        self._clear()
        self._warnings = run.warnings
        reporter = self._reporter
        if reporter is None:
            return
        if self.one_line_a_case:
            reporter.showfspath = False
            reporter._show_progress_info = False  # noqa: SLF001 - pytest offers no other way, and the lines say more
            reporter.write_line(f"run {run.id}, profile {run.profile}")
        for warning in run.warnings:
            reporter.write_line(f"warning: {warning}", yellow=True)

    def case_ended(self, record: Record) -> None:
        """Print a case with its headline figures, or the reason why it has none."""
        self._case_line(record, "" if record.wall_s is None else f"{record.wall_s:.1f} s")

    def case_kept(self, record: Record) -> None:
        """Print a case whose stored record is still valid and is not measured again."""
        self._case_line(record, "kept")

    def _case_line(self, record: Record, ending: str) -> None:
        self._clear()
        reporter = self._reporter
        if reporter is None or not self.one_line_a_case:
            return
        reporter.ensure_newline()
        reporter.write_line(f"{record.case}  {headline(record)}  ({ending})", red=record.status is not Status.OK)
        for note in record.notes:
            if note not in self._warnings:
                reporter.write_line(f"  note: {note}")

    def attempt(self, work: Callable[[], _T]) -> _T | None:
        """Call *work* and return its result; print a refusal and return None, since the records are stored already."""
        try:
            return work()
        except HarnessError as error:
            if self._reporter is not None:
                self._reporter.write_line(str(error), red=True)
            return None

    def summary(self, session: Session, report: str | None) -> None:
        """Print a table per suite, the number of cases that ended ok, and the paths of run and report."""
        reporter = self._reporter
        if reporter is None:
            return
        if self.one_line_a_case:
            reporter.section("tunebench", sep="-")
            by_suite: dict[str, list[Record]] = {}
            for record in session.records.values():
                by_suite.setdefault(record.suite, []).append(record)
            for records in by_suite.values():
                reporter.write_line(_table(records))
                reporter.write_line("")
        ok = sum(record.status is Status.OK for record in session.records.values())
        reporter.write_line(f"{ok} of {len(session.records)} cases ok, stored in {session.directory}")
        if report is not None:
            reporter.write_line(f"report: {report}")

    def tell(self, text: str) -> None:
        """Print a line that is not replaced."""
        if self._reporter is not None:
            self._clear()
            with self._uncaptured():
                self._reporter.ensure_newline()
                self._reporter.write_line(text)

    def gated(self, result: GateResult) -> None:
        """Print the gate's answer on the run."""
        if self._reporter is not None:
            self._reporter.section(f"gate against {result.baseline}", sep="-")
            self._reporter.write(gate_text.gate_text(result, shutil.get_terminal_size().columns))

    def _uncaptured(self) -> AbstractContextManager[None]:
        """Return a context outside pytest's capture, which takes everything written while a test runs."""
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else nullcontext()

    def _clear(self) -> None:
        if self._progress_line_shown and self._reporter is not None:
            self._reporter.write(_CLEAR_LINE, flush=True)
            self._progress_line_shown = False


def _table(records: list[Record]) -> str:
    rows = [
        {"case": record.case, "status": record.status.value, **(headline_cells(record) if record.metrics else {})}
        for record in records
    ]
    headers = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in headers] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True))
