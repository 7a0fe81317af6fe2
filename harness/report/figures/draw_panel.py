"""Draw one panel of a chart on a pair of matplotlib axes, with its legend and the words beside its data.

A panel knows only its own width and height; `draw` places the panels of a figure.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.report.figures import style
from harness.report.figures.charts import Bars, Curve, Dots, Panel
from harness.report.figures.drawable import drawable
from harness.report.figures.label_layout import Box, Points, around, best, stagger

_MOST_MARKERS = 60  # on a line; more would touch each other
_CLOSE = 300  # points on a line across a panel that are close enough to find the texts it would cross
_NARROW, _WIDE = 5.0, 1000.0  # highest over lowest: below, a logarithmic axis has even ticks; above, powers of ten
_SMALLEST, _LARGEST = 1e-3, 1e8  # numbers on an axis that are not in powers of ten
_TURNED: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
_TURNED_SHARE = 0.42  # height of a turned text over its length
_LEADER = {"arrowstyle": "-", "color": style.GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 4}
_MINUS = str.maketrans("-", "\u2212")


class PanelAxes:
    """One pair of axes while it is drawn: data, ticks and legend first, then `write` for words beside the data.

    *room_pt* is the width and height of the data, *extra_pt* the additional height for labels, legend and span names.
    """

    def __init__(self, axes: Axes, panel: Panel, renderer: Any, room_pt: tuple[float, float]) -> None:
        self.axes, self.renderer, self.room_pt, self.extra_pt = axes, renderer, room_pt, 0.0
        self.panel, left_out = drawable(panel)
        axes.set(xlabel=self.panel.x_label, ylabel=self.panel.y_label, facecolor="none")
        if not (self.panel.lines or self.panel.dots or self.panel.bars):
            self.panel = replace(self.panel, marks=(), rules=())
            axes.text(0.5, 0.5, self.panel.empty, transform=axes.transAxes, ha="center", va="center")
            axes.set(xticks=[], yticks=[])
            axes.set_title(self.panel.title, loc="left")
            return
        if self.panel.log_y:
            axes.set_yscale("log")
        if left_out:
            note = f"{left_out:,} point{'s' * (left_out > 1)} at or below 0 not shown"
            axes.text(0.01, 0.02, note, transform=axes.transAxes, size=style.SMALL_PT, style="italic")
        series = self._series()
        self._ticks()
        self._spans()
        self._head([(artist, label) for artist, label in series if label])

    def _series(self) -> list[tuple[Any, str]]:
        """Draw the data and the rules; return each drawn series with its label."""
        axes, panel = self.axes, self.panel
        drawn: list[tuple[Any, str]] = [(_line(axes, series), series.label) for series in panel.lines]
        drawn += [(_dots(axes, series), series.label) for series in panel.dots]
        drawn += [(_bars(axes, series, i, len(panel.bars)), series.label) for i, series in enumerate(panel.bars)]
        for mark in panel.marks:
            axes.plot(mark.x, mark.y, "o", markersize=7, markerfacecolor="none", markeredgecolor=style.GREY)
        for rule in panel.rules:
            axes.axhline(rule.y, color=style.GREY, linestyle="--", linewidth=1, gid="rule")
        return drawn

    def _ticks(self) -> None:
        """Set the ticks of both axes. The y-axis of bars begins at 0; that of lines and dots fits the data."""
        axes, panel = self.axes, self.panel
        if panel.bars and not any(height for bars in panel.bars for height in bars.heights):
            axes.set_ylim(0, 1)
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if panel.log_y and high > _NARROW * low:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < _WIDE * low else (1,)))
        plain = FuncFormatter(_tick)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(NullFormatter())
        if not panel.categories:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
            axes.xaxis.set_major_formatter(plain)
            return
        longest_pt = max(self._width_pt(bars, style.LEGEND_PT) for bars in panel.categories)
        turned = longest_pt > 0.95 * self.room_pt[0] / len(panel.categories)
        self.extra_pt += _TURNED_SHARE * longest_pt if turned else 0
        axes.set_xticks(range(len(panel.categories)), panel.categories)
        axes.tick_params(axis="x", length=0)
        if turned:
            for text in axes.get_xticklabels():
                text.set(**_TURNED)
        axes.set_xlim(-0.6, len(panel.categories) - 0.4)
        axes.grid(visible=False, axis="x")

    def _spans(self) -> None:
        """Shade the spans and write their names above the data, in several rows if the spans are narrow."""
        low, high = self.axes.get_xlim()
        inside = [span for span in self.panel.spans if span.end >= low and span.start <= high]
        if not inside:
            return
        spans = sorted(inside, key=lambda span: (span.start, span.end))
        width_pt, height_pt = self.room_pt
        starts = [max(0.0, (span.start - low) / (high - low)) * width_pt + 2 for span in spans]
        placed = stagger(starts, [self._width_pt(span.label, style.SMALL_PT) + 4 for span in spans], width_pt)
        names_pt = (1 + max(row for _, row in placed)) * style.LINE_PT + 2
        self.extra_pt += names_pt
        self._make_room(names_pt / (height_pt + names_pt))
        for span, (left, row) in zip(spans, placed, strict=True):
            ends, color = (max(low, span.start), min(high, span.end)), _color(span.color)
            self.axes.axvspan(*ends, facecolor=color, alpha=0.14, linewidth=0)
            place: dict[str, Any] = {"xy": (left / width_pt, 1), "xytext": (0, -2 - row * style.LINE_PT), "va": "top"}
            units: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "size": style.SMALL_PT}
            self.axes.annotate(span.label, **place, **units)
        self.axes.set_xlim(low, high)

    def _make_room(self, share: float) -> None:
        """Raise the upper limit of y so that *share* of the height above the data stays empty."""
        low, high = self.axes.get_ylim()
        if self.panel.log_y:
            self.axes.set_ylim(low, low * (high / low) ** (1 / (1 - share)))
        else:
            self.axes.set_ylim(low, low + (high - low) / (1 - share))

    def _head(self, named: list[tuple[Any, str]]) -> None:
        """Write the title, and below it the legend, which never covers the data."""
        rows = 0
        if len(named) > 1:
            widest_pt = max(self._width_pt(label, style.LEGEND_PT) for _, label in named) + style.LEGEND_KEY_PT
            columns = max(1, min(len(named), int(self.room_pt[0] / widest_pt)))
            rows = math.ceil(len(named) / columns)
            placeholders = ["series"] * len(named)  # a label that begins with _ would be left out
            artists = [artist for artist, _ in named]
            legend = self.axes.legend(artists, placeholders, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
            for text, (_, label) in zip(legend.get_texts(), named, strict=True):
                text.set_text(label)
        self.extra_pt += rows * style.LEGEND_ROW_PT
        self.axes.set_title(self.panel.title, loc="left", pad=5 + rows * style.LEGEND_ROW_PT)

    def write(self) -> None:
        """Write the words beside points and rules where they cover least; call this once the layout is final."""
        axes, frame = self.axes, self.axes.get_window_extent(self.renderer)
        bounds = Box(left=frame.x0 + 4, bottom=frame.y0 + 2, right=frame.x1 - 2, top=frame.y1 - 2)
        taken = [_extent(text, self.renderer) for text in axes.texts]
        points = np.concatenate([np.empty((0, 2)), *(_path(item) for item in axes.lines if item.get_gid() != "rule")])
        gap = self.renderer.points_to_pixels(style.GAP_PT)
        levels = [(item.text, axes.get_xlim()[1], item.y, None) for item in self.panel.rules]
        beside = [(item.text, item.x, item.y, _LEADER) for item in self.panel.marks]
        beside += [
            (*item, _LEADER) for dots in self.panel.dots for item in zip(dots.texts, dots.x, dots.y, strict=False)
        ]
        for text, x, y, leader in [*levels, *beside]:
            written = axes.annotate(
                text, (x, y), (0, 0), textcoords="offset points", va="bottom", size=style.SMALL_PT, arrowprops=leader
            )
            size, (px, py) = _extent(written, self.renderer), axes.transData.transform((x, y))
            tried = around(px, py, size.right - size.left, size.top - size.bottom, gap)
            place = best([item.within(bounds) for item in tried], taken, points)
            written.set_position(((place.left - px) / gap * style.GAP_PT, (place.bottom - py) / gap * style.GAP_PT))
            taken.append(place)

    def _width_pt(self, text: str, size_pt: float) -> float:
        wide, _, _ = self.renderer.get_text_width_height_descent(text, FontProperties(size=size_pt), ismath=False)
        return float(wide / self.renderer.points_to_pixels(1))


def _tick(value: float, _: int | None) -> str:
    """Format a number on an axis, in powers of ten only if it is very small or very large."""
    if value == 0 or _SMALLEST <= abs(value) < _LARGEST:
        return f"{value:,.9g}".translate(_MINUS)
    mantissa, exponent = f"{value:.5e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}".translate(_MINUS)


def _line(axes: Axes, line: Curve) -> Any:
    few = len(line.y) <= _MOST_MARKERS
    (artist,) = axes.plot(
        line.x,
        line.y,
        color=_color(line.color),
        linestyle=style.DASHES[line.dash],
        # A marker tells two lines of one dash apart; a long line has only a few.
        marker=_marker(line.color) if line.color or line.marker or len(line.y) == 1 else "",
        markevery=1 if line.marker and few else max(1, len(line.y) // 8),
    )
    if line.low and few:
        axes.vlines(line.x, line.low, line.high, color=_color(line.color), linewidth=1)
    elif line.low:
        axes.fill_between(line.x, line.low, line.high, color=_color(line.color), alpha=0.2, linewidth=0)
    return artist


def _dots(axes: Axes, dots: Dots) -> Any:
    look_of: dict[str, Any] = {"marker": _marker(dots.color), "color": _color(dots.color)}
    return axes.plot(dots.x, dots.y, linestyle="", alpha=0.8, **look_of)[0]


def _bars(axes: Axes, bars: Bars, number: int, count: int) -> Any:
    width = 0.8 / count
    shift = (number - (count - 1) / 2) * width
    tops = [(i + shift, top) for i, top in enumerate(bars.heights) if top is not None]
    hatch = style.HATCHES[bars.color % len(style.HATCHES)]
    look_of: dict[str, Any] = {"facecolor": _color(bars.color), "hatch": hatch, "edgecolor": "white", "linewidth": 0}
    return axes.bar([x for x, _ in tops], [top for _, top in tops], 0.92 * width, **look_of)


def _color(number: int) -> str:
    return style.COLORS[number % len(style.COLORS)]


def _marker(number: int) -> str:
    return style.MARKERS[number % len(style.MARKERS)]


def _path(line: Line2D) -> Points:
    """Return the points of a line in pixels, close enough together to detect a text that the line would cross."""
    points = np.asarray(line.get_transform().transform(line.get_xydata()), dtype=np.float64)
    if line.get_linestyle() == "None" or len(points) > _CLOSE:
        return points
    steps = np.linspace(0, len(points) - 1, _CLOSE)
    return np.column_stack([np.interp(steps, range(len(points)), points[:, i]) for i in (0, 1)])


def _extent(text: Text, renderer: Any) -> Box:
    extent = Text.get_window_extent(text, renderer)  # of an annotation's words, without its leader
    return Box(left=extent.x0, bottom=extent.y0, right=extent.x1, top=extent.y1)
