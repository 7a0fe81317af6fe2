"""Checks of what a report says of its losses. Points as printed: no statistics, no interval.

Thresholds are those of the rules in docs/rules.md. Finding texts go on after the place of the claim: "S2:47 says ...".
"""

from harness.analysis.claims.claim import Answer, Check, Question, name_of, number, percent, same, times, whole

_RECOVERED = 1.10  # of the level before a spike
_NEAR_BEST = 1.02  # of the lowest validation loss
_LATER_POINTS = 2  # fewer above the lowest may be chance


def value_differs(its: Question) -> Answer | None:
    """The same quantity printed twice: the claim's number against the table's."""
    series, x, claimed = its.word("series"), its.number("x"), its.number("value")
    printed = its.side.at(series, x)
    if same(claimed, printed):
        return None
    text = (
        f"puts the {name_of(series)} at iteration {whole(x)} at {number(claimed)}; the table of the same report has "
        f"{number(printed)}, which is {percent(abs(printed / claimed - 1))} {'less' if printed < claimed else 'more'}."
    )
    return Answer(text=text, numbers={"claimed": claimed, "printed": printed})


def recovered_by(its: Question) -> Answer | None:
    """R10 on printed points: the level before the highest point is the lowest one before it."""
    series, by = its.word("series"), its.number("by")
    points = its.side.points(series)
    peak = max(points, key=lambda x: points[x])
    level = min(y for x, y in points.items() if x <= peak)
    seen = next((x for x in points if x >= by), None)
    if seen is None or points[seen] <= _RECOVERED * level:  # None: nothing is printed from there on
        return None
    back = next((x for x, y in points.items() if x > peak and y <= _RECOVERED * level), None)
    return Answer(
        text=f"says the {name_of(series)} had recovered by iteration {whole(by)}; at {whole(seen)} it is "
        f"{number(points[seen])} against {number(level)} before the spike, and it "
        + ("never returns" if back is None else "first returns")
        + " to within 10 % of that"
        + (" in the printed points." if back is None else f" at {whole(back)}."),
        numbers={"before": level, "at": points[seen], "recovered_at": back},
    )


def direction(its: Question) -> Answer | None:
    """Lower or higher than before: the sign of a difference."""
    series, said = its.word("series"), its.word("is")
    before_x, after_x = its.number("before"), its.number("after")
    before, after = its.side.at(series, before_x), its.side.at(series, after_x)
    truth = "the same" if same(before, after) else "lower" if after < before else "higher"
    if truth == said:
        return None
    text = (
        f"says the {name_of(series)} came back {said} than before; it is {number(before)} at iteration "
        f"{whole(before_x)} and {number(after)} at {whole(after_x)}: {truth}, {times(after / before)} as high."
    )
    return Answer(text=text, numbers={"before": before, "after": after})


def improved_between(its: Question) -> Answer | None:
    """R13: whether a loss fell by 2 % or more between two iterations."""
    series, start, end = its.word("series"), its.number("from"), its.number("to")
    points = its.side.points(series)
    first, last = its.side.at(series, start), its.side.at(series, end)
    if last <= first / _NEAR_BEST:
        return None
    best = min(points, key=lambda x: points[x])
    near = next(x for x, y in points.items() if y <= _NEAR_BEST * points[best])
    text = (
        f"gives {number(last)} at iteration {whole(end)} as what the run came to; the {name_of(series)} was "
        f"{number(first)} at {whole(start)}, and first came within 2 % of its lowest ({number(points[best])} at "
        f"{whole(best)}) at {whole(near)}."
    )
    return Answer(text=text, numbers={"first": first, "last": last, "best_at": best, "near_best_at": near})


def no_overfitting(its: Question) -> Answer | None:
    """R8 on printed points: validation rises behind its lowest point while training goes on falling."""
    val, train = its.side.points("val_loss"), its.side.points("train_loss")
    best, end = min(val, key=lambda x: val[x]), max(val)
    later = [x for x in val if x > best and val[x] > _NEAR_BEST * val[best]]
    then = max((x for x in train if x <= best), default=min(train))  # the last report before the lowest point
    rises = val[end] > _NEAR_BEST * val[best] and len(later) >= _LATER_POINTS
    if not rises or train[max(train)] >= train[then]:
        return None
    text = (
        f"says there was no overfitting; the validation loss rises from {number(val[best])} at iteration {whole(best)} "
        f"to {number(val[end])} at {whole(end)}, by {percent(val[end] / val[best] - 1)}, while the training loss falls "
        f"from {number(train[then])} to {number(train[max(train)])}. These are single points, without an interval."
    )
    return Answer(text=text, numbers={"best": val[best], "end": val[end], "best_at": best})


def mixed_splits(its: Question) -> Answer | None:
    """R6: a drop in loss needs both ends from one split; what the ends are is looked up in the series."""
    start, end, said = its.number("from"), its.number("to"), its.number("percent")
    losses = {name: its.side.points(name) for name in ("train_loss", "val_loss")}
    sources = {name for name, points in losses.items() if start in points.values()}
    targets = {name for name, points in losses.items() if end in points.values()}
    if sources & targets:
        drop = 100 * (1 - end / start)
        if abs(drop - said) <= max(0.1, 0.005 * said):
            return None
        text = f"says the loss fell by {number(said)} %; from {number(start)} to {number(end)} it is {number(drop)} %."
        return Answer(text=text, numbers={"percent": drop})
    parts = []
    for name, points in losses.items():
        first, last = points[min(points)], points[max(points)]
        falls, most = percent(1 - last / first), percent(1 - min(points.values()) / first)
        parts.append(
            f"the {name_of(name)} alone falls by {falls}" + (f", {most} at its lowest" if most != falls else "")
        )
    text = (
        f"says the loss fell by {number(said)} %, from {number(start)} to {number(end)}; the first is a "
        f"{_names(sources)} and the second a {_names(targets)}. Over the printed points {'; '.join(parts)}."
    )
    return Answer(text=text, numbers={"from": start, "to": end})


def _names(series: set[str]) -> str:
    return " and a ".join(sorted(map(name_of, series))) or "number that no table holds"


CHECKS: dict[str, tuple[str, str, Check]] = {
    "value_differs": ("R4", "contradiction", value_differs),
    "recovered_by": ("R10", "contradiction", recovered_by),
    "direction": ("R3", "contradiction", direction),
    "improved_between": ("R13", "contradiction", improved_between),
    "no_overfitting": ("R8", "contradiction", no_overfitting),
    "mixed_splits": ("R6", "contradiction", mixed_splits),
}
