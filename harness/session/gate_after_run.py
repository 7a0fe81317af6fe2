"""Gate after a run: judges a finished session against a baseline and measures suspected cases once more.

The verdicts themselves come from `harness.gate`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.gate.confirm import confirmed, only, suspected
from harness.gate.decide import gate
from harness.gate.policy import GatePolicy
from harness.gate.provenance import found
from harness.gate.verdicts import GateResult
from harness.inputs.plans import Case
from harness.inputs.protocol import Failure
from harness.machine.clock import utc_now
from harness.paths import without_home
from harness.results import store
from harness.results.baselines import number
from harness.results.records import Bundle
from harness.session.session import CaseFailed, Session

_AGAIN = "-again"  # suffix of the run that holds the second measurement of the suspected cases


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAfterRun:
    """Baseline and policy by which a finished session is judged."""

    baseline: Bundle
    policy: GatePolicy
    asked: tuple[str, Path] | None = None  # the baseline as typed, and the path at which it was found

    def judge(self, session: Session, cases: Sequence[Case], say: Callable[[str], None]) -> GateResult:
        """Judge the stored run of *session*; measure suspected regressions among *cases* once more and judge again.

        Raises:
            HarnessError: if results cannot be read or written.
        """
        first = self._judged(self.baseline, session.directory)
        suspected_cases = [case for case in cases if case.id in suspected(first)]
        if not suspected_cases:
            return first
        say(f"suspected: {', '.join(case.id for case in suspected_cases)}; measuring once more in fresh processes")
        directory = self._measured_again(session, suspected_cases, say)
        baseline = only(self.baseline, [case.id for case in suspected_cases])
        return confirmed(first, self._judged(baseline, directory))

    def _judged(self, baseline: Bundle, directory: Path) -> GateResult:
        result = gate(baseline, store.read_run(directory), self.policy, today=utc_now())
        if self.asked is None:
            return result
        name, path = self.asked
        return found(
            result,
            typed=(without_home(name), None),
            numbers=(number(path), None),
            paths=(without_home(str(path)), without_home(str(directory))),
        )

    def _measured_again(self, session: Session, cases: Sequence[Case], say: Callable[[str], None]) -> Path:
        """Measure *cases* into a separate run and return its directory."""
        again = Session(
            settings=replace(
                session.settings,
                run_id=f"{session.run.id}{_AGAIN}",
                resume=None,
                report=False,
                options=session.settings.options | {"again_of": session.run.id},
            ),
            command=session.command,
            on_progress=session.on_progress,
            on_turn=session.on_turn,
            interleaved=session.interleaved,
            run_process=session.run_process,
            pause=session.pause,
        )
        again.start(cases, say)
        for case in cases:
            again.close(case, _measure_repeats(again, case))
        again.finish()
        return again.directory


def _measure_repeats(session: Session, case: Case) -> Failure | None:
    """Measure every repeat of *case*; return how it failed, or None."""
    try:
        for _ in range(session.settings.repeats):
            session.measure(case)
    except CaseFailed as error:
        return error.failure
    return None
