"""Memory growth of a training, and the verdict whether it is a leak."""

from harness.analysis.stats.estimates import theil_sen
from harness.results.records import Readings
from harness.units import format_value
from harness.worker.workloads.steps import TrainingSteps

# Bytes a step; chosen. Live arrays do not vary but for the batch (4 bytes a token); the resident set does,
# by what the allocators keep, and settles late: only the second half of the steady steps tells of it.
_ACTIVE_LEAK, _FOOTPRINT_LEAK = 2**16, 2**19


def memory_growth(steps: TrainingSteps) -> Readings:
    """Return the growth of memory per steady step (Theil-Sen slope), by kind of memory."""
    in_use = {kind: theil_sen(values) for kind, values in _in_use(steps).items() if len(values) > 1}
    if not in_use:
        return steps.unsteady()
    return Readings(values=tuple(slope.point for slope in in_use.values()), labels=tuple(in_use))


def leak_notes(steps: TrainingSteps) -> list[str]:
    """Return a note for every kind of memory whose growth surely exceeds its limit."""
    in_use = _in_use(steps)
    suspects = {"active": (in_use["active"], _ACTIVE_LEAK)}
    if footprint := in_use.get("footprint"):
        suspects["footprint"] = (footprint[len(footprint) // 2 :], _FOOTPRINT_LEAK)
    growth = {kind: (theil_sen(values), limit) for kind, (values, limit) in suspects.items() if len(values) > 1}
    return [
        f"memory grows by {format_value(slope.point, 'byte')} a step ({kind}): a leak, or a cache without a bound"
        for kind, (slope, limit) in growth.items()
        if slope.low > limit
    ]


def _in_use(steps: TrainingSteps) -> dict[str, list[int]]:
    """Return the memory in use after each steady step, by kind."""
    footprint = [step.footprint_bytes for step in steps.steady if step.footprint_bytes is not None]
    return {"active": [step.active_bytes for step in steps.steady]} | ({"footprint": footprint} if footprint else {})
