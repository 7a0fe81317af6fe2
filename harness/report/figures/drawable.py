"""Prepare a panel for drawing.

Long lines are reduced to their envelope, logarithmic axes lose the points at or below 0, and texts become one line of
visible characters, shortened in the middle if they are long.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from harness.report.figures.charts import Curve, Dots, Panel

_MOST_POINTS = 1500  # on a line: about twice the pixels across a panel
_LABEL, _TITLE = 40, 90  # letters that fit
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, formatting, half pairs, private, unassigned

_Series = TypeVar("_Series", Curve, Dots)


def drawable(panel: Panel) -> tuple[Panel, int]:
    """Return the panel to draw, and the number of points left out because they are at or below 0."""
    lines = [_above(line, log=panel.log_y) for line in panel.lines]
    dots = [_above(group, log=panel.log_y) for group in panel.dots]
    left_out = _points(panel.lines, panel.dots) - _points(lines, dots)
    return replace(
        panel,
        title=shown(panel.title, _TITLE),
        x_label=shown(panel.x_label),
        y_label=shown(panel.y_label),
        lines=tuple(replace(_part(line, envelope(line.y)), label=shown(line.label)) for line in lines if line.y),
        dots=tuple(
            replace(group, label=shown(group.label), texts=tuple(map(shown, group.texts))) for group in dots if group.y
        ),
        bars=tuple(
            replace(group, label=shown(group.label))
            for group in panel.bars
            if any(height is not None for height in group.heights)
        ),
        spans=tuple(replace(span, label=shown(span.label)) for span in panel.spans),
        marks=tuple(replace(mark, text=shown(mark.text)) for mark in panel.marks if mark.y > 0 or not panel.log_y),
        rules=tuple(replace(rule, text=shown(rule.text)) for rule in panel.rules if rule.y > 0 or not panel.log_y),
        categories=tuple(map(shown, panel.categories)),
        empty="no point above 0" if left_out else shown(panel.empty, _TITLE),
    ), left_out


def shown(text: str, longest: int = _LABEL) -> str:
    """Put *text* on one line of at most *longest* letters, with U+FFFD for each invisible character."""
    line = " ".join(text.split())
    visible = "".join("\ufffd" if unicodedata.category(letter) in _UNSEEN else letter for letter in line)
    if len(visible) <= longest:
        return visible
    tail = (longest - 1) // 2
    return f"{visible[: longest - 1 - tail]}…{visible[-tail:]}"


def envelope(values: Sequence[float], most_points: int = _MOST_POINTS) -> list[int]:
    """Select at most *most_points* values (4 or more) that keep a curve's shape; return their indices, ascending.

    The curve is cut into stretches of equal length, and the lowest and highest value of each are kept, so that no spike
    is lost. The first and the last value are always kept.
    """
    if len(values) <= most_points:
        return list(range(len(values)))
    stretches = most_points // 2 - 1
    kept = {0, len(values) - 1}
    for number in range(stretches):
        stretch = range(number * len(values) // stretches, (number + 1) * len(values) // stretches)
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return sorted(kept)


def _points(lines: Sequence[Curve], dots: Sequence[Dots]) -> int:
    return sum(len(line.y) for line in lines) + sum(len(group.y) for group in dots)


def _above(curve: _Series, *, log: bool) -> _Series:
    """Remove the points at or below 0 if the axis is logarithmic."""
    return _part(curve, [i for i, y in enumerate(curve.y) if y > 0]) if log else curve


def _part(curve: _Series, kept: Sequence[int]) -> _Series:
    columns = ("x", "y", "low", "high") if isinstance(curve, Curve) else ("x", "y", "texts")
    parts: dict[str, Any] = {
        name: tuple(getattr(curve, name)[i] for i in kept) for name in columns if getattr(curve, name)
    }
    return replace(curve, **parts)
