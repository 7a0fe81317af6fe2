"""Checks of what a report says of how a training ran: its clock, its speeds, its memory, its adapter.

Finding texts go on after the place of the claim: "S2:104 gives ...".
"""

from collections.abc import Mapping
from itertools import pairwise

from harness.analysis.claims.claim import Answer, Check, Question, number, quantity, same, times, whole

_CLOCK = 0.10  # by which a rate and the wall time may differ: validation and saving
_OUTSIDE = 0.005  # of a printed range's end: rounding


def clock(its: Question) -> Answer | None:
    """R14: what the printed rates make of the printed amounts, against the printed time."""
    side, label = its.side, its.claim.numbers.get("label")
    wall = side.value("train_wall_s")
    amounts = {"train_tokens_per_s": ("tokens", max(side.points("tokens_seen").values()), "tokens/s")}
    if side.metric("train_steps_per_s"):
        amounts |= {"train_steps_per_s": ("iterations", side.value("train_iterations"), "iterations/s")}
    found = {}
    parts = []
    for metric, (what, amount, unit) in amounts.items():
        rate = side.value(metric, label if label in side.parts(metric) else None)
        if abs(wall - amount / rate) > _CLOCK * wall:
            found[metric] = {"printed": rate, "from_wall": amount / wall}
            parts.append(
                f"at {number(rate)} {unit} the {whole(amount)} {what} take {_time(amount / rate)}, and {_time(wall)} "
                f"mean {number(amount / wall)} {unit}"
            )
    if not parts:
        return None
    text = f"gives what does not fit the {_time(wall)} that are printed for the run: {'; '.join(parts)}."
    return Answer(text=text, numbers=found)


def _time(seconds: float) -> str:
    hours = seconds / 3600
    return f"{number(hours)} h" if hours >= 1 else quantity(seconds, "s")


def epochs(its: Question) -> Answer | None:
    """R16: how often a run saw each row, where the report does not say."""
    side, said = its.side, its.claim.numbers.get("epochs")
    rows = (side.key.dataset or {}).get("rows", {}).get("train")
    batch = side.key.settings.get("batch_size")
    if rows is None or batch is None:
        return None
    found = side.value("train_iterations") * batch / rows
    if isinstance(said, int | float) and same(said, found):
        return None
    text = (
        f"counts tokens alone; {whole(side.value('train_iterations'))} iterations of {batch} rows are {number(found)} "
        f"passes over the {rows} rows there are to train on"
        + (", which is printed nowhere." if said is None else f", not {number(float(said))}.")
    )
    return Answer(text=text, numbers={"epochs": found, "rows": rows})


_SHAPE = ("hidden", "heads", "kv_heads", "head_dim", "intermediate", "layers")


def trainable_structure(its: Question) -> Answer | None:
    """R16: the printed rank on the printed matrices, against the printed count.

    Source: Hu et al. (2021), arXiv:2106.09685, section 4.1.
    """
    side = its.side
    shape = {name: int(its.number(name)) for name in _SHAPE}
    adapter = side.key.adapter or {}
    printed, rank = side.value("trainable_parameters"), int(its.number("rank"))
    sides = _sides(shape)
    a_rank = sum(sum(sides[key.rpartition(".")[2]]) for key in adapter.get("keys") or sides)
    layers = adapter.get("layers") or shape["layers"]
    expected = rank * a_rank * layers
    if same(expected, printed):
        return None
    explains = [f"rank {r} on {n} layers" for r, n in _alternatives(printed / a_rank, rank, layers, shape["layers"])]
    text = (
        f"gives rank {rank} and {whole(printed)} trainable parameters; rank {rank} on {layers} layers has "
        f"{whole(expected)}, {times(expected / printed)} as many."
        + (f" What is printed is {' or '.join(explains)}." if explains else "")
    )
    return Answer(text=text, numbers={"printed": printed, "expected": expected})


def _sides(shape: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Rows and columns of each matrix of a block of the llama family."""
    hidden, inner = shape["hidden"], shape["intermediate"]
    query, kv = shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    return {
        "q_proj": (query, hidden),
        "k_proj": (kv, hidden),
        "v_proj": (kv, hidden),
        "o_proj": (hidden, query),
        "gate_proj": (inner, hidden),
        "up_proj": (inner, hidden),
        "down_proj": (hidden, inner),
    }


def _alternatives(product: float, rank: int, layers: int, most: int) -> list[tuple[int, int]]:
    """Pairs of rank and layers with that product: another rank on these layers, this rank on others."""
    pairs = [(round(product / layers), layers), (rank, round(product / rank))]
    return [(r, n) for r, n in pairs if r >= 1 and 1 <= n <= most and same(r * n, product)]


def running_maximum(its: Question) -> Answer | None:
    """R15: a column that never falls is a high-water mark, and cannot show that memory was stable."""
    points = its.side.points("peak_bytes")
    if any(later < earlier for earlier, later in pairwise(points.values())):
        return None
    last_rise = next(x for x, y in points.items() if y == max(points.values()))
    text = (
        f"says memory stayed at one level; none of the {len(points)} printed values is below the one before it, as of "
        f"a running maximum, which reached its highest at iteration {whole(last_rise)}. Later moments were not higher; "
        "how much was in use at them is not printed."
    )
    return Answer(text=text, numbers={"rows": len(points), "last_rise_at": last_rise})


def range_omits(its: Question) -> Answer | None:
    """R14: printed values outside the range that is said to hold them."""
    series, low, high = its.word("series"), its.number("low"), its.number("high")
    points = its.side.points(series)
    outside = {x: y for x, y in points.items() if not low * (1 - _OUTSIDE) <= y <= high * (1 + _OUTSIDE)}
    if not outside:
        return None
    listed = ", ".join(f"{number(y)} (iteration {whole(x)})" for x, y in outside.items())
    text = (
        f"gives a range of {number(low)} to {number(high)}; {len(outside)} of the {len(points)} printed values lie "
        f"outside of it: {listed}."
    )
    return Answer(text=text, numbers={"outside": list(outside.values())})


CHECKS: dict[str, tuple[str, str, Check]] = {
    "clock": ("R14", "contradiction", clock),
    "range_omits": ("R14", "contradiction", range_omits),
    "running_maximum": ("R15", "warning", running_maximum),
    "epochs": ("R16", "note", epochs),
    "trainable_structure": ("R16", "contradiction", trainable_structure),
}
