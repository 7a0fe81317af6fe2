"""What an exception says of a case: which status it ends with. Pure.

The array library raises `RuntimeError` for everything, so some are told apart by their text.
"""

import re

from harness.results.records import Status

_NO_MEMORY = ("unable to allocate", "out of memory", "attempting to allocate", "cannot allocate memory")
# As MLX says it: an abbreviation; not (yet) implemented; "RoPE has no GPU implementation".
_NOT_THERE = re.compile(r"\bnyi\b|\bnot (yet )?implemented\b|\bno (\w+ )?implementation\b", re.IGNORECASE)


def status_of(error: Exception) -> Status:
    """How a case ends that raised *error*: without memory, without an operation of its backend, or just failed."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return Status.OOM
    return Status.SKIPPED if lacks_operation(error) else Status.FAILED


def lacks_operation(error: Exception) -> bool:
    """Whether *error* says that an operation does not exist on this backend: nobody's mistake here."""
    return isinstance(error, RuntimeError) and (
        isinstance(error, NotImplementedError) or _NOT_THERE.search(str(error)) is not None
    )
