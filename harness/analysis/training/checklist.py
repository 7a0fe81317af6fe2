"""What stands in place of a grade: a list of conditions a training met, missed, or left unknown. Pure; plain numbers.

No item weighs more than another and nothing is added up: a reader sees which rule, on which numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from harness.analysis.stats.estimates import Interval
from harness.analysis.training.wall_time import TOLERANCE
from harness.units import format_number, format_percent, format_value

HEADROOM_SHARE = 0.1  # chosen: what a system's own programs come and go with; printed with the item
SEEDS = 3  # chosen, as is usual: of two there is no telling which is the odd one
_NOT_RECORDED = "not recorded"


class Outcome(Enum):
    """Of one item."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One condition: whether it held, on which *numbers*, by which *rule*."""

    name: str
    outcome: Outcome
    numbers: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is known of a training. None: not recorded, or not looked for."""

    iterations_done: int | None = None
    iterations_planned: int | None = None
    losses: int | None = None  # reported
    diverged: str | None = None  # how it ended, where a loss was no longer a number
    val_loss_first: float | None = None  # nat/token, before training
    val_loss_final: float | None = None
    val_ratio: Interval | None = None  # final / first; None where too few processes were measured for an interval
    best_iteration: int | None = None
    final_iteration: int | None = None
    overfitting: bool | None = None
    overfitting_words: str = ""  # what the rule found, as it says it
    spikes: int | None = None
    spikes_recovered: int | None = None
    peak_bytes: float | None = None
    limit_bytes: float | None = None  # of the device, or of the machine
    swap_growth_bytes: float | None = None
    clock_off_share: float | None = None  # of the wall time, what the parts do not account for; either sign
    test_rows: int | None = None  # evaluated; 0: none were
    overlapping_rows: int | None = None  # of the rows checked, those that stand in the training rows too
    checked_rows: int | None = None
    seeds: int | None = None  # different ones; processes that share a seed count once


def checklist(its: Training) -> tuple[Item, ...]:
    """Every item, in the order of a training."""
    return tuple(make(its) for make in _ITEMS)


def _item(name: str, rule: str, *, holds: bool | None, numbers: str) -> Item:
    outcome = Outcome.UNKNOWN if holds is None else Outcome.PASS if holds else Outcome.FAIL
    return Item(name=name, outcome=outcome, numbers=numbers or _NOT_RECORDED, rule=rule)


def _iterations(its: Training) -> Item:
    name, rule = "all iterations done", "as many iterations done as planned"
    done, planned = its.iterations_done, its.iterations_planned
    if done is None or planned is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=done >= planned, numbers=f"{_count(done)} of {_count(planned)}")


def _finite(its: Training) -> Item:
    name, rule = "losses finite", "no loss is infinite or not a number"
    if its.diverged is not None:
        return _item(name, rule, holds=False, numbers=its.diverged)
    if not its.losses:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=True, numbers=f"{_count(its.losses)} losses are stored")


def _improved(its: Training) -> Item:
    name = "validation loss improved"
    rule = "final below first; with an interval, all of that of final / first below 1"
    first, final, ratio = its.val_loss_first, its.val_loss_final, its.val_ratio
    if first is None or final is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"{_loss(first)} to {_loss(final)} nat/token"
    if ratio is None:
        return _item(name, rule, holds=final < first, numbers=f"{numbers}, without an interval")
    numbers += f", final / first in [{ratio.low:.3f}, {ratio.high:.3f}]"
    crosses = ratio.low < 1 <= ratio.high
    return _item(name, rule, holds=None if crosses else ratio.high < 1, numbers=numbers)


def _best_is_final(its: Training) -> Item:
    name, rule = "best checkpoint is the final one", "the validation loss is lowest at the last validation"
    best, final = its.best_iteration, its.final_iteration
    if best is None or final is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"lowest at iteration {_count(best)}, last at {_count(final)}"
    return _item(name, rule, holds=best == final, numbers=numbers)


def _no_overfitting(its: Training) -> Item:
    rule = "the rule of the section on overfitting detects none"
    holds = None if its.overfitting is None else not its.overfitting
    return _item("no overfitting detected", rule, holds=holds, numbers=its.overfitting_words)


def _spikes(its: Training) -> Item:
    name, rule = "spikes recovered", "every spike of the training loss came back to its level before"
    if its.spikes is None or its.spikes_recovered is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"{_count(its.spikes_recovered)} of {_count(its.spikes)}" if its.spikes else "no spike"
    return _item(name, rule, holds=its.spikes_recovered == its.spikes, numbers=numbers)


def _headroom(its: Training) -> Item:
    name, rule = "memory headroom", f"at least {_bound(HEADROOM_SHARE)} of the limit above the peak"
    if its.peak_bytes is None or not its.limit_bytes:
        return _item(name, rule, holds=None, numbers="")
    left = 1 - its.peak_bytes / its.limit_bytes
    holds = its.peak_bytes <= (1 - HEADROOM_SHARE) * its.limit_bytes
    numbers = f"peak {format_value(its.peak_bytes, 'byte')} of {format_value(its.limit_bytes, 'byte')}"
    return _item(name, rule, holds=holds, numbers=f"{numbers}, {format_percent(left)} left")


def _swap(its: Training) -> Item:
    name, rule = "no swapping", "no more of the process is swapped out at its end than at its start"
    grown = its.swap_growth_bytes
    if grown is None:
        return _item(name, rule, holds=None, numbers="not measured")
    return _item(name, rule, holds=grown <= 0, numbers=format_value(grown, "byte"))


def _clock(its: Training) -> Item:
    name = "clock reconciled"
    rule = f"the parts account for the wall time to within {_bound(TOLERANCE)} of it"
    off = its.clock_off_share
    if off is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=abs(off) <= TOLERANCE, numbers=f"off by {format_percent(off)}")


def _tested(its: Training) -> Item:
    name, rule = "test set evaluated", "at least one row of the test split was evaluated"
    if its.test_rows is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=its.test_rows > 0, numbers=f"{_count(its.test_rows)} rows")


def _contamination(its: Training) -> Item:
    name, rule = "splits apart", "no row of the test split stands among the training rows, or nearly"
    found, checked = its.overlapping_rows, its.checked_rows
    if found is None or not checked:
        return _item(name, rule, holds=None, numbers="not checked")
    return _item(name, rule, holds=found == 0, numbers=f"{_count(found)} of {_count(checked)} rows checked do")


def _seeds(its: Training) -> Item:
    name, rule = "seeds", f"at least {SEEDS} different seeds; processes that share one count once"
    if its.seeds is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=its.seeds >= SEEDS, numbers=_count(its.seeds))


def _count(value: int) -> str:
    return format_number(value, as_integer=True)


def _bound(share: float) -> str:
    return f"{100 * share:g} %"


def _loss(value: float) -> str:
    return f"{value:.3f}"


_ITEMS: tuple[Callable[[Training], Item], ...] = (
    _iterations,
    _finite,
    _improved,
    _best_is_final,
    _no_overfitting,
    _spikes,
    _headroom,
    _swap,
    _clock,
    _tested,
    _contamination,
    _seeds,
)
