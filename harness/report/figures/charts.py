"""Types of a chart's content, before it is drawn: panels with lines, dots, bars and marks.

A color is a number from 0 on; the same thing has the same number in every figure of a report, and `style` maps it to
a color. Two things never differ in color alone: lines differ in dash or marker too.
"""

from dataclasses import dataclass
from enum import Enum


class Dash(Enum):
    """Dash pattern of a line: solid for training, dashed for validation."""

    SOLID = "solid"
    DASHED = "dashed"
    DOTTED = "dotted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A line through the points (x, y). With *marker*, each point is marked."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    color: int = 0
    dash: Dash = Dash.SOLID
    marker: bool = False
    low: tuple[float, ...] = ()  # lower bounds of the intervals, or (); a key of every report in JSON
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Points without a line between them. *texts* holds one label per point, or is empty."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    color: int = 0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One bar from 0 per category of the panel; a height of None leaves a gap."""

    label: str
    heights: tuple[float | None, ...]
    color: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadedSpan:
    """A range of x that is shaded over the full height, with a label."""

    label: str
    start: float
    end: float
    color: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A circle around one point, with a text beside it."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A horizontal line with a text, such as a limit or a target."""

    text: str
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes. With *categories*, x is an index into them. A panel without data shows the text *empty*."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Curve, ...] = ()
    dots: tuple[Dots, ...] = ()
    bars: tuple[Bars, ...] = ()
    spans: tuple[ShadedSpan, ...] = ()
    marks: tuple[Mark, ...] = ()
    rules: tuple[Rule, ...] = ()
    categories: tuple[str, ...] = ()
    log_y: bool = False
    empty: str = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure. *name* is its file name without the ending; *alt* describes the content in words and numbers."""

    name: str
    title: str
    caption: str
    alt: str
    panels: tuple[Panel, ...]
    columns: int = 1
