"""A session's turns as another process starts them: the session's end of an A/B comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.session.session import Session


@dataclass(frozen=True, slots=True)
class RemoteTurns:
    """Turns of *session*, for the leader of a comparison to start one by one, before a suite asks for samples."""

    session: Session

    @property
    def order(self) -> Sequence[str]:
        """Turns that are still to be run, each as CASE#NUMBER."""
        return [turn.id for turn in self.session.turns]

    @property
    def longest_s(self) -> float:
        """Seconds after which a turn has ended: it may train an adapter before it measures."""
        settings = self.session.settings
        return settings.cooldown_s + 2 * settings.profile.timeout_s

    def take(self, turn_id: str) -> str | None:
        """Run this turn now; return why its case ended, or None if it continues."""
        (turn,) = [turn for turn in self.session.turns if turn.id == turn_id]
        self.session.turns.remove(turn)
        self.session.run_turn(turn)
        failure = self.session.ledger.open(turn.case).failure
        return f"{failure.status.value}: {failure.reason}" if failure else None

    def settle(self, keep: Mapping[str, int]) -> None:
        """Run no more turns; of each case keep the first *keep* samples, or the reason why it failed."""
        self.session.settled = True
        self.session.turns.clear()
        self.session.ledger.keep_first(keep)
