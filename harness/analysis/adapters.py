"""What the size of an adapter says of its rank: counts that follow from shapes alone.

Source: Hu et al. (2021), LoRA, arXiv 2106.09685: a matrix of d_out by d_in gains A (r by d_in) and B (d_out by r).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A rank and a number of adapted layers that give a count of trainable parameters."""

    rank: int
    layers: int
    trainable: int


def trainable_of(rank: int, shapes: Iterable[tuple[int, int]]) -> int:
    """The trainable parameters of adapters of one *rank* on matrices of these *shapes* (d_in, d_out), in any order."""
    return rank * sum(d_in + d_out for d_in, d_out in shapes)


def ranks_that_fit(
    trainable: float, shapes_of_layer: Iterable[tuple[int, int]], layers: int, *, within: float = 0.0
) -> tuple[Fit, ...]:
    """Every rank and number of layers, up to all *layers*, with a count no further from *trainable* than *within*.

    Each layer has adapters on matrices of the same shapes. The most layers come first, hence the lowest rank. Ranks
    and layers can be told apart by their product alone, so that a count usually has several fits.

    Raises:
        ValueError: if a layer has no matrix.
    """
    per_rank = trainable_of(1, shapes_of_layer)
    if per_rank < 1:
        raise ValueError("a layer without adapted matrices has no trainable parameters: give the shapes of some")
    fits = []
    for adapted in range(layers, 0, -1):
        rank = max(1, round(trainable / (per_rank * adapted)))
        count = rank * per_rank * adapted
        if abs(count - trainable) <= within:
            fits.append(Fit(rank=rank, layers=adapted, trainable=count))
    return tuple(fits)


def rounding(digits: str, scale: float = 1.0) -> float:
    """By how much a printed number may be off: half of its last digit, times its *scale* (1e6 for "9.232" million)."""
    exponent = Decimal(digits).as_tuple().exponent
    if not isinstance(exponent, int):  # "nan" or "inf" have a letter there
        raise ValueError(f"{digits!r} is no number with a last digit, as 9.232 is")  # noqa: TRY004 - the value is wrong
    return scale * 10.0**exponent / 2


def epochs(iterations: int, batch_size: int, rows: int) -> float:
    """How often each row was seen, on average, by batches of *batch_size* rows.

    Raises:
        ValueError: if there is no row.
    """
    if rows < 1:
        raise ValueError(f"epochs are of one row or more, got {rows}")
    return iterations * batch_size / rows


def updates(iterations: int, accumulation: int) -> int:
    """The optimiser's steps: one each *accumulation* iterations, none for those left over."""
    return iterations // accumulation
