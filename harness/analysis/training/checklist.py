"""Checklist of a training, in place of a grade: conditions that it met, failed, or left unknown.

Items have no weights and there is no total: each states its rule and the numbers it was judged on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from harness.analysis.training.time_account import TOLERANCE
from harness.units import format_number, format_percent, format_value

HEADROOM_SHARE = 0.1  # chosen: the system's own programs vary by about as much; printed with the item
SEEDS = 3  # chosen, as is usual: if two differ, neither can be called the outlier
_NOT_RECORDED = "not recorded"


class ItemOutcome(StrEnum):
    """Outcome of one item."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One condition: its outcome, the *numbers* it was judged on, and the *rule*."""

    name: str
    outcome: ItemOutcome
    numbers: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFacts:
    """Facts about a training. None: not recorded, or not looked for."""

    iterations_done: int | None = None
    iterations_planned: int | None = None
    losses: int | None = None  # number of reported losses
    diverged: str | None = None  # reason for the end, if a loss became infinite or not a number
    val_loss_first: float | None = None  # nat/token, before training
    val_loss_final: float | None = None
    best_iteration: int | None = None
    final_iteration: int | None = None
    overfitting: bool | None = None
    overfitting_words: str = ""  # reason of the overfitting rule
    spikes: int | None = None
    spikes_recovered: int | None = None
    peak_bytes: float | None = None
    limit_bytes: float | None = None  # of the device, or of the machine
    swap_growth_bytes: float | None = None
    clock_off_share: float | None = None  # share of the wall time outside the measured parts; either sign
    test_rows: int | None = None  # number of evaluated rows
    overlapping_rows: int | None = None  # number of checked rows that are training rows too
    checked_rows: int | None = None
    seeds: int | None = None  # number of different seeds; processes that share one count once


def checklist(facts: TrainingFacts) -> tuple[Item, ...]:
    """Return every item, in the order in which a training takes place."""
    return tuple(make(facts) for make in _ITEMS)


def _item(name: str, rule: str, *, holds: bool | None, numbers: str) -> Item:
    outcome = ItemOutcome.UNKNOWN if holds is None else ItemOutcome.PASS if holds else ItemOutcome.FAIL
    return Item(name=name, outcome=outcome, numbers=numbers or _NOT_RECORDED, rule=rule)


def _iterations(facts: TrainingFacts) -> Item:
    name, rule = "all iterations done", "as many iterations done as planned"
    done, planned = facts.iterations_done, facts.iterations_planned
    if done is None or planned is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=done >= planned, numbers=f"{_count(done)} of {_count(planned)}")


def _finite(facts: TrainingFacts) -> Item:
    name, rule = "losses finite", "no loss is infinite or not a number"
    if facts.diverged is not None:
        return _item(name, rule, holds=False, numbers=facts.diverged)
    if not facts.losses:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=True, numbers=f"{_count(facts.losses)} losses are stored")


def _improved(facts: TrainingFacts) -> Item:
    name = "validation loss improved"
    rule = "final below first; with an interval, all of that of final / first below 1"
    first, final = facts.val_loss_first, facts.val_loss_final
    if first is None or final is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"{_loss(first)} to {_loss(final)} nat/token"
    return _item(name, rule, holds=final < first, numbers=f"{numbers}, without an interval")


def _best_is_final(facts: TrainingFacts) -> Item:
    name, rule = "best checkpoint is the final one", "the validation loss is lowest at the last validation"
    best, final = facts.best_iteration, facts.final_iteration
    if best is None or final is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"lowest at iteration {_count(best)}, last at {_count(final)}"
    return _item(name, rule, holds=best == final, numbers=numbers)


def _no_overfitting(facts: TrainingFacts) -> Item:
    rule = "the rule of the section on overfitting detects none"
    holds = None if facts.overfitting is None else not facts.overfitting
    return _item("no overfitting detected", rule, holds=holds, numbers=facts.overfitting_words)


def _spikes(facts: TrainingFacts) -> Item:
    name, rule = "spikes recovered", "every spike of the training loss came back to its level before"
    if facts.spikes is None or facts.spikes_recovered is None:
        return _item(name, rule, holds=None, numbers="")
    numbers = f"{_count(facts.spikes_recovered)} of {_count(facts.spikes)}" if facts.spikes else "no spike"
    return _item(name, rule, holds=facts.spikes_recovered == facts.spikes, numbers=numbers)


def _headroom(facts: TrainingFacts) -> Item:
    name, rule = "memory headroom", f"at least {_percent(HEADROOM_SHARE)} of the limit above the peak"
    if facts.peak_bytes is None or not facts.limit_bytes:
        return _item(name, rule, holds=None, numbers="")
    headroom = 1 - facts.peak_bytes / facts.limit_bytes
    holds = facts.peak_bytes <= (1 - HEADROOM_SHARE) * facts.limit_bytes
    numbers = f"peak {format_value(facts.peak_bytes, 'byte')} of {format_value(facts.limit_bytes, 'byte')}"
    return _item(name, rule, holds=holds, numbers=f"{numbers}, {format_percent(headroom)} left")


def _swap(facts: TrainingFacts) -> Item:
    name, rule = "no swapping", "no more of the process is swapped out at its end than at its start"
    grown = facts.swap_growth_bytes
    if grown is None:
        return _item(name, rule, holds=None, numbers="not measured")
    return _item(name, rule, holds=grown <= 0, numbers=format_value(grown, "byte"))


def _clock(facts: TrainingFacts) -> Item:
    name = "clock reconciled"
    rule = f"the parts account for the wall time to within {_percent(TOLERANCE)} of it"
    off = facts.clock_off_share
    if off is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=abs(off) <= TOLERANCE, numbers=f"off by {format_percent(off)}")


def _tested(facts: TrainingFacts) -> Item:
    name, rule = "test set evaluated", "at least one row of the test split was evaluated"
    if facts.test_rows is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=facts.test_rows > 0, numbers=f"{_count(facts.test_rows)} rows")


def _contamination(facts: TrainingFacts) -> Item:
    name, rule = "splits apart", "no row of the test split stands among the training rows, or nearly"
    overlapping, checked = facts.overlapping_rows, facts.checked_rows
    if overlapping is None or not checked:
        return _item(name, rule, holds=None, numbers="not checked")
    return _item(
        name, rule, holds=overlapping == 0, numbers=f"{_count(overlapping)} of {_count(checked)} rows checked do"
    )


def _seeds(facts: TrainingFacts) -> Item:
    name, rule = "seeds", f"at least {SEEDS} different seeds; processes that share one count once"
    if facts.seeds is None:
        return _item(name, rule, holds=None, numbers="")
    return _item(name, rule, holds=facts.seeds >= SEEDS, numbers=_count(facts.seeds))


def _count(value: int) -> str:
    return format_number(value, as_integer=True)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _loss(value: float) -> str:
    return f"{value:.3f}"


_ITEMS: tuple[Callable[[TrainingFacts], Item], ...] = (
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
