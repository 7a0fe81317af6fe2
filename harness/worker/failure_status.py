"""Status of a case whose worker raised an exception.

MLX raises `RuntimeError` for every kind of failure, so some failures are recognized by their text.
"""

import re

from harness.errors import HarnessError
from harness.results.records import Status

_NO_MEMORY = ("unable to allocate", "out of memory", "attempting to allocate", "cannot allocate memory")
# MLX's wordings: NYI (not yet implemented); not (yet) implemented; "RoPE has no GPU implementation".
_MISSING_OPERATION = re.compile(r"\bnyi\b|\bnot (yet )?implemented\b|\bno (\w+ )?implementation\b", re.IGNORECASE)


class Diverged(HarnessError):
    """A training or validation loss is no longer a finite number."""


def status_of(error: Exception) -> Status:
    """Return the status for an unexpected *error*: out of memory, skipped (no such operation here) or failed."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return Status.OOM
    return Status.SKIPPED if lacks_operation(error) else Status.FAILED


def lacks_operation(error: Exception) -> bool:
    """Tell whether *error* says that this backend lacks an operation, which is no fault of the case."""
    return isinstance(error, RuntimeError) and (
        isinstance(error, NotImplementedError) or _MISSING_OPERATION.search(str(error)) is not None
    )
