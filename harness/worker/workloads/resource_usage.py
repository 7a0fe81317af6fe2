"""Machine usage of generation: processor time, energy, and the share of the memory bandwidth (MBU)."""

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
    """Readings of the clocks and the energy meter at one moment."""

    wall_ns: int
    cpu_ns: int
    joules: dict[str, float]  # by part; {} where no energy can be read


def usage_readings(start: Gauges, end: Gauges, tokens: int, no_energy: str) -> dict[str, Readings]:
    """Return CPU share and joules per token between two moments. *no_energy*: the reason if energy is missing."""
    cpu_percent = 100 * (end.cpu_ns - start.cpu_ns) / (end.wall_ns - start.wall_ns)
    parts = tuple(part for part in end.joules if part in start.joules)
    energy = Readings(values=(), reason=no_energy)
    if parts:
        spent = tuple((end.joules[part] - start.joules[part]) / tokens for part in parts)
        energy = Readings(values=spent, labels=parts)
    return {"cpu_percent": Readings(values=(cpu_percent,)), "energy_j_per_token": energy}


def mbu(responses: Sequence[Response], shape: ModelShape | None, copy_bytes_per_s: float) -> Readings:
    """Return the memory bandwidth utilization: bytes read to decode each answer, relative to the machine's copy rate.

    On average, a token's context is the prompt and half of the answer.
    """
    if shape is None:
        return UNKNOWN_SHAPE
    if decode_bytes(shape, depth=0) < CACHE_BYTES:
        return Readings(values=(), reason=_IN_CACHE)
    values = tuple(
        decode_bytes(shape, depth=response.prompt_tokens + len(response.tokens) // 2)
        * response.decode_tokens_per_s
        / copy_bytes_per_s
        for response in responses
    )
    return Readings(values=values, labels=tuple(response.scenario for response in responses))


def doubt_about(mbu: Readings) -> str | None:
    """Return why *mbu* cannot be true: its highest value is above 1; None if it may be."""
    highest, scenario = max(zip(mbu.values, mbu.labels or (), strict=True), default=(0.0, ""))
    if highest <= 1:
        return None
    return (
        f"mbu of {highest:.2f} in scenario {scenario}: more bytes than this machine can move; "
        "the clock or the count is wrong"
    )
