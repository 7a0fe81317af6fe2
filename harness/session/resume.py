"""Going on with a run: what of it still holds, what has to be measured again, and why."""

from collections.abc import Sequence
from pathlib import Path

from harness.results import atomic_write, codec, store
from harness.results.records import Record, Sample, Status
from harness.session.identity import Identity, changed

_IDENTITY = "identity.json"
_SURROUNDINGS = ("code", "versions", "device")  # parts of an identity that all cases of a session share


def why_again(record: Record, identity: Identity, repeats: int) -> str | None:
    """Say why a stored record does not do any more; None if it does."""
    if record.status is not Status.OK:
        return f"it had ended as {record.status.value}"
    if stale := changed(record.identity, identity):
        return f"{', '.join(stale)} changed"
    if record.processes < repeats:
        return f"it had {record.processes} of {repeats} processes"
    return None


def leftovers(directory: Path, case: str, identity: Identity) -> Sequence[Sample]:
    """What the first processes of a case without a record measured, as far as it holds and nothing is missing."""
    samples: list[Sample] = []
    for its in store.read_processes(directory, case):
        if its.number == len(samples) + 1 and not changed(its.identity, identity):
            samples.append(its.sample)
    return samples


def others_of(records: Sequence[Record], today: Identity, wanted: set[str]) -> list[str]:
    """Warn of cases that the run holds, that nobody asked for now, and that were measured with something else.

    *today* is the identity of any case: what is compared is the same for all of them.
    """
    now = {part: today[part] for part in _SURROUNDINGS}
    others = [its.case for its in records if its.case not in wanted and changed(its.identity, now)]
    if not others:
        return []
    return [f"measured with other code, versions or another device, and not asked for again: {', '.join(others)}"]


def write_identity(directory: Path, identity: Identity) -> None:
    """Say of a trained adapter what it depends on.

    Raises:
        Unwritable: if it cannot be written.
    """
    atomic_write.write_text(directory / _IDENTITY, codec.encode(identity, indent=1).decode())


def read_identity(directory: Path) -> Identity | None:
    """What a trained adapter depends on; None where it is not said, as of one whose training did not end."""
    try:
        return codec.decode((directory / _IDENTITY).read_bytes(), Identity)
    except (OSError, codec.Malformed):
        return None
