"""Resuming a run: which of its records, samples and adapters still hold, and why others do not."""

from collections.abc import Sequence
from pathlib import Path

from harness.results import atomic_write, codec, store
from harness.results.records import Record, Sample, Status
from harness.session.identity import Identity, changed

_IDENTITY = "identity.json"
_SURROUNDINGS = ("code", "versions", "device")  # parts of an identity that all cases of a session share


def why_again(record: Record, identity: Identity, repeats: int) -> str | None:
    """Return why the case of a stored record has to be measured again; None if the record still holds."""
    if record.status is not Status.OK:
        return f"it had ended as {record.status.value}"
    if stale := changed(record.identity, identity):
        return f"{', '.join(stale)} changed"
    if record.processes < repeats:
        return f"it had {record.processes} of {repeats} processes"
    return None


def leftovers(directory: Path, case: str, identity: Identity) -> Sequence[Sample]:
    """Return the stored samples of a case without a record, up to the first that is missing or no longer holds."""
    samples: list[Sample] = []
    for process in store.read_processes(directory, case):
        if process.number == len(samples) + 1 and not changed(process.identity, identity):
            samples.append(process.sample)
    return samples


def others_of(records: Sequence[Record], identity: Identity, requested: set[str]) -> list[str]:
    """Warn of stored cases that are not *requested* now and were measured with other code, versions or device.

    *identity* is that of any case of this session: the parts compared are the same for all of them.
    """
    surroundings = {part: identity[part] for part in _SURROUNDINGS}
    others = [
        record.case for record in records if record.case not in requested and changed(record.identity, surroundings)
    ]
    if not others:
        return []
    return [f"measured with other code, versions or another device, and not asked for again: {', '.join(others)}"]


def write_identity(directory: Path, identity: Identity) -> None:
    """Store what the trained adapter in *directory* depends on.

    Raises:
        Unwritable: if it cannot be written.
    """
    atomic_write.write_text(directory / _IDENTITY, codec.encode(identity, indent=1).decode())


def read_identity(directory: Path) -> Identity | None:
    """Return what the trained adapter in *directory* depends on; None if unknown, as when its training did not end."""
    try:
        return codec.decode((directory / _IDENTITY).read_bytes(), Identity)
    except (OSError, codec.Malformed):
        return None
