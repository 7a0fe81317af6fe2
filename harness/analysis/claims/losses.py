"""Checks of claims about losses, on the printed points alone: no statistics, no intervals.

Thresholds are those of the rules in docs/rules.md. The text of a finding continues the place of the claim: "S2:47 says
...".
"""

from harness.analysis.claims.context import Answer, CheckTable, ClaimContext
from harness.analysis.claims.wording import count, number, percent, same, series_name, times
from harness.analysis.finding import Level

_RECOVERED = 1.10  # of the level before a spike
_NEAR_BEST = 1.02  # of the lowest validation loss
_LATER_POINTS = 2  # fewer above the lowest may be chance


def value_differs(context: ClaimContext) -> Answer | None:
    """Check a claimed value against the same value in a table."""
    series, x, claimed = context.word("series"), context.number("x"), context.number("value")
    printed = context.subject.at(series, x)
    if same(claimed, printed):
        return None
    text = (
        f"puts the {series_name(series)} at iteration {count(x)} at {number(claimed)}; the table of the same report "
        f"has {number(printed)}, which is {percent(abs(printed / claimed - 1))} "
        f"{'less' if printed < claimed else 'more'}."
    )
    return Answer(text=text, numbers={"claimed": claimed, "printed": printed})


def recovered_by(context: ClaimContext) -> Answer | None:
    """R10: check by which iteration a spike had recovered. The level before it is the lowest point up to the peak."""
    series, by = context.word("series"), context.number("by")
    points = context.subject.points(series)
    peak = max(points, key=lambda x: points[x])
    level = min(y for x, y in points.items() if x <= peak)
    reported = next((x for x in points if x >= by), None)
    if reported is None or points[reported] <= _RECOVERED * level:  # None: nothing is printed from there on
        return None
    back = next((x for x, y in points.items() if x > peak and y <= _RECOVERED * level), None)
    return Answer(
        text=f"says the {series_name(series)} had recovered by iteration {count(by)}; at {count(reported)} it is "
        f"{number(points[reported])} against {number(level)} before the spike, and it "
        + ("never returns" if back is None else "first returns")
        + " to within 10 % of that"
        + (" in the printed points." if back is None else f" at {count(back)}."),
        numbers={"before": level, "at": points[reported], "recovered_at": back},
    )


def direction(context: ClaimContext) -> Answer | None:
    """R3: check whether a loss came back lower or higher than before."""
    series, claimed = context.word("series"), context.word("is")
    before_x, after_x = context.number("before"), context.number("after")
    earlier, later = context.subject.at(series, before_x), context.subject.at(series, after_x)
    truth = "the same" if same(earlier, later) else "lower" if later < earlier else "higher"
    if truth == claimed:
        return None
    text = (
        f"says the {series_name(series)} came back {claimed} than before; it is {number(earlier)} at iteration "
        f"{count(before_x)} and {number(later)} at {count(after_x)}: {truth}, {times(later / earlier)} as high."
    )
    return Answer(text=text, numbers={"before": earlier, "after": later})


def improved_between(context: ClaimContext) -> Answer | None:
    """R13: check that a loss fell by 2 % or more between two iterations."""
    series, start, end = context.word("series"), context.number("from"), context.number("to")
    points = context.subject.points(series)
    first, last = context.subject.at(series, start), context.subject.at(series, end)
    if last <= first / _NEAR_BEST:
        return None
    best = min(points, key=lambda x: points[x])
    near = next(x for x, y in points.items() if y <= _NEAR_BEST * points[best])
    text = (
        f"gives {number(last)} at iteration {count(end)} as what the run came to; the {series_name(series)} was "
        f"{number(first)} at {count(start)}, and first came within 2 % of its lowest ({number(points[best])} at "
        f"{count(best)}) at {count(near)}."
    )
    return Answer(text=text, numbers={"first": first, "last": last, "best_at": best, "near_best_at": near})


def no_overfitting(context: ClaimContext) -> Answer | None:
    """R8: check a claim of no overfitting: validation must not rise past its lowest point while training falls."""
    val, train = context.subject.points("val_loss"), context.subject.points("train_loss")
    best, end = min(val, key=lambda x: val[x]), max(val)
    later = [x for x in val if x > best and val[x] > _NEAR_BEST * val[best]]
    reported = max((x for x in train if x <= best), default=min(train))  # the last report before the lowest point
    rises = val[end] > _NEAR_BEST * val[best] and len(later) >= _LATER_POINTS
    if not rises or train[max(train)] >= train[reported]:
        return None
    text = (
        f"says there was no overfitting; the validation loss rises from {number(val[best])} at iteration {count(best)} "
        f"to {number(val[end])} at {count(end)}, by {percent(val[end] / val[best] - 1)}, while the training loss falls "
        f"from {number(train[reported])} to {number(train[max(train)])}. These are single points, without an interval."
    )
    return Answer(text=text, numbers={"best": val[best], "end": val[end], "best_at": best})


def mixed_splits(context: ClaimContext) -> Answer | None:
    """R6: check that both ends of a claimed drop in loss are of one split, by looking them up in the series."""
    start, end, claimed = context.number("from"), context.number("to"), context.number("percent")
    losses = {name: context.subject.points(name) for name in ("train_loss", "val_loss")}
    sources = {name for name, points in losses.items() if start in points.values()}
    targets = {name for name, points in losses.items() if end in points.values()}
    if sources & targets:
        drop = 100 * (1 - end / start)
        if abs(drop - claimed) <= max(0.1, 0.005 * claimed):
            return None
        text = (
            f"says the loss fell by {number(claimed)} %; from {number(start)} to {number(end)} it is {number(drop)} %."
        )
        return Answer(text=text, numbers={"percent": drop})
    parts = []
    for name, points in losses.items():
        first, last = points[min(points)], points[max(points)]
        final_fall, largest_fall = percent(1 - last / first), percent(1 - min(points.values()) / first)
        parts.append(
            f"the {series_name(name)} alone falls by {final_fall}"
            + (f", {largest_fall} at its lowest" if largest_fall != final_fall else "")
        )
    text = (
        f"says the loss fell by {number(claimed)} %, from {number(start)} to {number(end)}; the first is a "
        f"{_split_names(sources)} and the second a {_split_names(targets)}. Over the printed points {'; '.join(parts)}."
    )
    return Answer(text=text, numbers={"from": start, "to": end})


def _split_names(series: set[str]) -> str:
    return " and a ".join(sorted(map(series_name, series))) or "number that no table holds"


CHECKS: CheckTable = {
    "value_differs": ("R4", Level.CONTRADICTION, value_differs),
    "recovered_by": ("R10", Level.CONTRADICTION, recovered_by),
    "direction": ("R3", Level.CONTRADICTION, direction),
    "improved_between": ("R13", Level.CONTRADICTION, improved_between),
    "no_overfitting": ("R8", Level.CONTRADICTION, no_overfitting),
    "mixed_splits": ("R6", Level.CONTRADICTION, mixed_splits),
}
