"""Going on with a run: what of it still holds, what has to be measured again, and why."""

from collections.abc import Sequence
from pathlib import Path

from harness import store
from harness.identity import Identity, changed
from harness.records import Record, Sample, Status


def why_again(record: Record, identity: Identity, repeats: int) -> str | None:
    """Say why a stored record does not do any more; None if it does."""
    if record.status is not Status.OK:
        return f"it had ended as {record.status.value}"
    if stale := changed(record.identity, identity):
        return f"{', '.join(stale)} changed"
    if record.processes < repeats:
        return f"it had {record.processes} of {repeats} processes"
    return None


def holds(record: Record | None, identity: Identity, repeats: int) -> bool:
    """Whether there is a record that does."""
    return record is not None and why_again(record, identity, repeats) is None


def leftovers(directory: Path, case: str, identity: Identity) -> Sequence[Sample]:
    """What the first processes of a case without a record measured, as far as it holds and nothing is missing."""
    samples: list[Sample] = []
    for its in store.read_processes(directory, case):
        if its.number == len(samples) + 1 and not changed(its.identity, identity):
            samples.append(its.sample)
    return samples
