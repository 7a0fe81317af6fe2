"""Checks of claims about how a training ran: its times, speeds, memory and adapter.

The text of a finding continues the place of the claim: "S2:104 gives ...".
"""

from collections.abc import Mapping
from itertools import pairwise

from harness.analysis.claims.context import Answer, CheckTable, ClaimContext
from harness.analysis.claims.wording import count, number, quantity, same, times
from harness.analysis.finding import Level

_CLOCK = 0.10  # share by which a rate and the wall time may differ: validation and saving
_OUTSIDE = 0.005  # relative to an end of a printed range: rounding


def clock(context: ClaimContext) -> Answer | None:
    """R14: check the printed training time against printed amounts / printed rates."""
    subject, label = context.subject, context.claim.numbers.get("label")
    wall = subject.value("train_wall_s")
    amounts = {"train_tokens_per_s": ("tokens", max(subject.points("tokens_seen").values()), "tokens/s")}
    if subject.metric("train_steps_per_s"):
        amounts |= {"train_steps_per_s": ("iterations", subject.value("train_iterations"), "iterations/s")}
    rates = {}
    parts = []
    for metric, (counted, amount, unit) in amounts.items():
        rate = subject.value(metric, label if label in subject.parts(metric) else None)
        if abs(wall - amount / rate) > _CLOCK * wall:
            rates[metric] = {"printed": rate, "from_wall": amount / wall}
            parts.append(
                f"at {number(rate)} {unit} the {count(amount)} {counted} take {_time(amount / rate)}, "
                f"and {_time(wall)} mean {number(amount / wall)} {unit}"
            )
    if not parts:
        return None
    text = f"gives what does not fit the {_time(wall)} that are printed for the run: {'; '.join(parts)}."
    return Answer(text=text, numbers=rates)


def _time(seconds: float) -> str:
    hours = seconds / 3600
    return f"{number(hours)} h" if hours >= 1 else quantity(seconds, "s")


def epochs(context: ClaimContext) -> Answer | None:
    """R16: compute how often a run saw each row, and compare it with the report if the report says."""
    subject, claimed = context.subject, context.claim.numbers.get("epochs")
    rows = (subject.key.dataset or {}).get("rows", {}).get("train")
    batch = subject.key.settings.get("batch_size")
    if rows is None or batch is None:
        return None
    passes = subject.value("train_iterations") * batch / rows
    if isinstance(claimed, int | float) and same(claimed, passes):
        return None
    text = (
        f"counts tokens alone; {count(subject.value('train_iterations'))} iterations of {batch} rows are "
        f"{number(passes)} passes over the {rows} rows there are to train on"
        + (", which is printed nowhere." if claimed is None else f", not {number(float(claimed))}.")
    )
    return Answer(text=text, numbers={"epochs": passes, "rows": rows})


_SHAPE = ("hidden", "heads", "kv_heads", "head_dim", "intermediate", "layers")


def trainable_structure(context: ClaimContext) -> Answer | None:
    """R16: check the printed count of trainable parameters against the printed rank and matrices.

    Source: Hu et al. (2021), arXiv:2106.09685, section 4.1.
    """
    subject = context.subject
    shape = {name: int(context.number(name)) for name in _SHAPE}
    adapter = subject.key.adapter or {}
    printed, rank = subject.value("trainable_parameters"), int(context.number("rank"))
    shapes = _matrix_shapes(shape)
    per_rank = sum(sum(shapes[key.rpartition(".")[2]]) for key in adapter.get("keys") or shapes)
    layers = adapter.get("layers") or shape["layers"]
    expected = rank * per_rank * layers
    if same(expected, printed):
        return None
    explanations = [
        f"rank {r} on {n} layers" for r, n in _alternatives(printed / per_rank, rank, layers, shape["layers"])
    ]
    text = (
        f"gives rank {rank} and {count(printed)} trainable parameters; rank {rank} on {layers} layers has "
        f"{count(expected)}, {times(expected / printed)} as many."
        + (f" What is printed is {' or '.join(explanations)}." if explanations else "")
    )
    return Answer(text=text, numbers={"printed": printed, "expected": expected})


def _matrix_shapes(shape: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return rows and columns of each matrix in a transformer block of the Llama family."""
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


def _alternatives(product: float, rank: int, layers: int, all_layers: int) -> list[tuple[int, int]]:
    """Return pairs (rank, layers) with this product: another rank on these layers, or this rank on others."""
    pairs = [(round(product / layers), layers), (rank, round(product / rank))]
    return [(r, n) for r, n in pairs if r >= 1 and 1 <= n <= all_layers and same(r * n, product)]


def running_maximum(context: ClaimContext) -> Answer | None:
    """R15: detect memory readings that never fall: a running maximum cannot show that memory was stable."""
    points = context.subject.points("peak_bytes")
    if any(later < earlier for earlier, later in pairwise(points.values())):
        return None
    last_rise = next(x for x, y in points.items() if y == max(points.values()))
    text = (
        f"says memory stayed at one level; none of the {len(points)} printed values is below the one before it, as of "
        f"a running maximum, which reached its highest at iteration {count(last_rise)}. Later moments were not higher; "
        "how much was in use at them is not printed."
    )
    return Answer(text=text, numbers={"rows": len(points), "last_rise_at": last_rise})


def range_omits(context: ClaimContext) -> Answer | None:
    """R14: check that the printed values lie in the claimed range."""
    series, low, high = context.word("series"), context.number("low"), context.number("high")
    points = context.subject.points(series)
    outside = {x: y for x, y in points.items() if not low * (1 - _OUTSIDE) <= y <= high * (1 + _OUTSIDE)}
    if not outside:
        return None
    listed = ", ".join(f"{number(y)} (iteration {count(x)})" for x, y in outside.items())
    text = (
        f"gives a range of {number(low)} to {number(high)}; {len(outside)} of the {len(points)} printed values lie "
        f"outside of it: {listed}."
    )
    return Answer(text=text, numbers={"outside": list(outside.values())})


CHECKS: CheckTable = {
    "clock": ("R14", Level.CONTRADICTION, clock),
    "range_omits": ("R14", Level.CONTRADICTION, range_omits),
    "running_maximum": ("R15", Level.WARNING, running_maximum),
    "epochs": ("R16", Level.NOTE, epochs),
    "trainable_structure": ("R16", Level.CONTRADICTION, trainable_structure),
}
