"""What generating took of the machine: processor time, energy, and the share of the memory bandwidth. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.results.records import Readings
from harness.worker.model_costs import ModelShape, decode_bytes
from harness.worker.workloads.response import Response

# The last-level caches of laptops and of one die of a server's processor hold up to about as much: weights below
# this may never come from main memory, and then its rate is no roof.
CACHE_BYTES = 64 * 2**20
_IN_CACHE = f"the weights of a token are less than {CACHE_BYTES // 2**20} MiB: a processor's cache may hold them"

UNKNOWN_SHAPE = Readings(values=(), reason="the sizes of this architecture's matrices cannot be told")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """What the clocks and the energy meter show at one moment."""

    wall_ns: int
    cpu_ns: int
    joules: dict[str, float]  # by part; {} where no energy can be read


def usage_readings(before: Gauges, after: Gauges, tokens: int, no_energy: str) -> dict[str, Readings]:
    """Processor time over wall time and joules a token, between two moments. *no_energy* says why there are none."""
    cpu_percent = 100 * (after.cpu_ns - before.cpu_ns) / (after.wall_ns - before.wall_ns)
    parts = tuple(part for part in after.joules if part in before.joules)
    energy = Readings(values=(), reason=no_energy)
    if parts:
        spent = tuple((after.joules[part] - before.joules[part]) / tokens for part in parts)
        energy = Readings(values=spent, labels=parts)
    return {"cpu_percent": Readings(values=(cpu_percent,)), "energy_j_per_token": energy}


def mbu(responses: Sequence[Response], shape: ModelShape | None, copy_bytes_per_s: float) -> Readings:
    """The bytes an answer's tokens had to read over their time, as a share of the machine's copy rate.

    The context of a token is, on average, the prompt and half of the answer.
    """
    if shape is None:
        return UNKNOWN_SHAPE
    if decode_bytes(shape, depth=0) < CACHE_BYTES:
        return Readings(values=(), reason=_IN_CACHE)
    values = tuple(
        decode_bytes(shape, depth=its.prompt_tokens + len(its.tokens) // 2) * its.decode_tokens_per_s / copy_bytes_per_s
        for its in responses
    )
    return Readings(values=values, labels=tuple(its.scenario for its in responses))


def doubt_about(mbu: Readings) -> str | None:
    """Why readings of *mbu* cannot be true: the highest, if it is above 1."""
    highest, scenario = max(zip(mbu.values, mbu.labels or (), strict=True), default=(0.0, ""))
    if highest <= 1:
        return None
    return (
        f"mbu of {highest:.2f} in scenario {scenario}: more bytes than this machine can move; "
        "the clock or the count is wrong"
    )
