"""A session judged against a baseline when it has ended, with what is suspected measured once again.

Knows sessions, files and the gate; the verdicts are the gate's.
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

_AGAIN = "-again"  # after the id of a run: its suspected cases, measured once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """What a session is judged by."""

    baseline: Bundle
    policy: GatePolicy
    asked: tuple[str, Path] | None = None  # how the baseline was asked for, and where it was found

    def judge(self, session: Session, cases: Sequence[Case], say: Callable[[str], None]) -> GateResult:
        """Judge what *session* stored; *cases* are those it may measure again.

        Raises:
            HarnessError: if results cannot be read or written.
        """
        first = self._judged(self.baseline, session.directory)
        wanted = [case for case in cases if case.id in suspected(first)]
        if not wanted:
            return first
        say(f"suspected: {', '.join(case.id for case in wanted)}; measuring once more in fresh processes")
        again = self._measured_again(session, wanted, say)
        return confirmed(first, self._judged(only(self.baseline, [case.id for case in wanted]), again))

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
        """Run the cases as a run of its own, and give its directory."""
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
            again.close(case, _measured(again, case))
        again.finish()
        return again.directory


def _measured(session: Session, case: Case) -> Failure | None:
    """Measure a case as often as the session is to; how it failed, if it did."""
    try:
        for _ in range(session.settings.repeats):
            session.measure(case)
    except CaseFailed as error:
        return error.failure
    return None
