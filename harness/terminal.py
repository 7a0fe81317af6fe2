"""What a session shows in the terminal: a line a case, a line that moves while one is measured, a table at the end."""

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
_REST_S = 0.25  # between two lines that move; chosen
_T = TypeVar("_T")


class Terminal:
    """Writes through pytest's own reporter, so that capturing, -q, pipes and colours stay its business."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._moving = False
        self._said_s = 0.0
        self._warnings: tuple[str, ...] = ()

    @property
    def one_line_a_case(self) -> bool:
        """Whether each case gets a line; not under -q."""
        return bool(self._config.get_verbosity() >= 0)

    @property
    def _reporter(self) -> "pytest.TerminalReporter | None":
        return self._config.pluginmanager.get_plugin("terminalreporter")

    def say(self, text: str) -> None:
        """Show what is going on, where the terminal can take it back."""
        reporter = self._reporter
        if reporter is None or not reporter.isatty or not self.one_line_a_case:
            return
        width = reporter._tw.fullwidth - 1  # noqa: SLF001 - pytest offers no other way to its width
        with self._uncaptured():
            reporter.write(f"{_CLEAR_LINE}{text[:width]}", flush=True)
        self._moving = True

    def progress(self, turn: Turn, progress: Progress) -> None:
        """Show how far a case is, a few times a second at most: the machine has better things to do."""
        now_s = monotonic_s()
        if now_s - self._said_s >= _REST_S:
            self._said_s = now_s
            self.say(f"{turn.case.id} #{turn.number}  {progress.done}/{progress.total}  {progress.text}")

    def turn_ended(self, turn: Turn, ended: str) -> None:
        """One line a process, where no line moves: cases that take turns have theirs only in the last round."""
        reporter = self._reporter
        if reporter is None or reporter.isatty or not self.one_line_a_case:
            return
        with self._uncaptured():
            reporter.ensure_newline()
            reporter.write_line(f"  {turn.case.id} process {turn.number}: {ended}")

    def unfinished(self, run: RunInfo) -> None:
        """Say how to go on with a run that was interrupted."""
        if self._reporter is not None:
            self._clear()
            self._reporter.write_line(f"run {run.id} is not finished; go on with: pytest suites/ --resume {run.id}")

    def session_starts(self, run: RunInfo) -> None:
        """Say what was found out before anything is measured."""
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
        """One line: the case and its headline figures, or why it has none."""
        self._case(record, "" if record.wall_s is None else f"{record.wall_s:.1f} s")

    def case_kept(self, record: Record) -> None:
        """One line for a case that was measured before and still holds."""
        self._case(record, "kept")

    def _case(self, record: Record, ending: str) -> None:
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
        """Do *work*; a refusal is shown and does not end the session: its records are stored already."""
        try:
            return work()
        except HarnessError as error:
            if self._reporter is not None:
                self._reporter.write_line(str(error), red=True)
            return None

    def summary(self, session: Session, report: str | None) -> None:
        """A table a suite, and where everything is."""
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
        """Write a line that stays."""
        if self._reporter is not None:
            self._clear()
            with self._uncaptured():
                self._reporter.ensure_newline()
                self._reporter.write_line(text)

    def gated(self, result: GateResult) -> None:
        """What the gate says of the run."""
        if self._reporter is not None:
            self._reporter.section(f"gate against {result.baseline}", sep="-")
            self._reporter.write(gate_text.gate_text(result, shutil.get_terminal_size().columns))

    def _uncaptured(self) -> AbstractContextManager[None]:
        """While a test runs, what is written goes into pytest's capture; step outside it."""
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        return capture.global_and_fixture_disabled() if capture else nullcontext()

    def _clear(self) -> None:
        if self._moving and self._reporter is not None:
            self._reporter.write(_CLEAR_LINE, flush=True)
            self._moving = False


def _table(records: list[Record]) -> str:
    rows = [
        {"case": record.case, "status": record.status.value, **(headline_cells(record) if record.metrics else {})}
        for record in records
    ]
    headers = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[row.get(name, "") for name in headers] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True))
