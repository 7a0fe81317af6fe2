"""What of a panel can be drawn. Pure.

Long curves by their envelope, logarithmic axes without what is not above 0, and texts on one line of visible
characters, shortened in the middle where they are long.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from harness.report.figures.charts import Dots, Line, Panel

_MOST_POINTS = 1500  # of a line: about twice what a panel has pixels across
_LABEL, _TITLE = 40, 90  # letters that have room
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn"}  # control, formatting, half pairs, private, unassigned

_Curve = TypeVar("_Curve", Line, Dots)


def drawable(panel: Panel) -> tuple[Panel, int]:
    """The panel as it is drawn, and how many of its points are left out for being at or below 0."""
    lines = [_above(its, log=panel.log_y) for its in panel.lines]
    dots = [_above(its, log=panel.log_y) for its in panel.dots]
    left_out = _points(panel.lines, panel.dots) - _points(lines, dots)
    return replace(
        panel,
        title=shown(panel.title, _TITLE),
        x_label=shown(panel.x_label),
        y_label=shown(panel.y_label),
        lines=tuple(replace(_part(its, envelope(its.y)), label=shown(its.label)) for its in lines if its.y),
        dots=tuple(replace(its, label=shown(its.label), texts=tuple(map(shown, its.texts))) for its in dots if its.y),
        bars=tuple(
            replace(its, label=shown(its.label))
            for its in panel.bars
            if any(height is not None for height in its.heights)
        ),
        spans=tuple(replace(its, label=shown(its.label)) for its in panel.spans),
        marks=tuple(replace(its, text=shown(its.text)) for its in panel.marks if its.y > 0 or not panel.log_y),
        rules=tuple(replace(its, text=shown(its.text)) for its in panel.rules if its.y > 0 or not panel.log_y),
        categories=tuple(map(shown, panel.categories)),
        empty="no point above 0" if left_out else shown(panel.empty, _TITLE),
    ), left_out


def shown(text: str, longest: int = _LABEL) -> str:
    """The text on one line, with a replacement character for what cannot be seen, and of at most *longest* letters."""
    line = " ".join(text.split())
    seen = "".join("\ufffd" if unicodedata.category(letter) in _UNSEEN else letter for letter in line)
    if len(seen) <= longest:
        return seen
    tail = (longest - 1) // 2
    return f"{seen[: longest - 1 - tail]}…{seen[-tail:]}"


def envelope(values: Sequence[float], most: int = _MOST_POINTS) -> list[int]:
    """The indices of at most *most* values that keep a curve's shape: of each stretch its lowest and its highest.

    All of them where they are not more than *most*, which is at least 4. The first and the last are always among
    them, and so are the lowest and the highest of all: no spike is lost.
    """
    if len(values) <= most:
        return list(range(len(values)))
    stretches = most // 2 - 1
    kept = {0, len(values) - 1}
    for number in range(stretches):
        stretch = range(number * len(values) // stretches, (number + 1) * len(values) // stretches)
        kept |= {min(stretch, key=values.__getitem__), max(stretch, key=values.__getitem__)}
    return sorted(kept)


def _points(lines: Sequence[Line], dots: Sequence[Dots]) -> int:
    return sum(len(its.y) for its in lines) + sum(len(its.y) for its in dots)


def _above(curve: _Curve, *, log: bool) -> _Curve:
    """The curve without what a logarithmic axis has no place for."""
    return _part(curve, [i for i, y in enumerate(curve.y) if y > 0]) if log else curve


def _part(curve: _Curve, kept: Sequence[int]) -> _Curve:
    columns = ("x", "y", "low", "high") if isinstance(curve, Line) else ("x", "y", "texts")
    parts: dict[str, Any] = {
        name: tuple(getattr(curve, name)[i] for i in kept) for name in columns if getattr(curve, name)
    }
    return replace(curve, **parts)
