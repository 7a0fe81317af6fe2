"""What a figure shows, before it is drawn: panels of lines, dots, bars and marks. Values only.

A colour is a number from 0 on, the same for the same thing in every figure of a report; `plots` knows which it is.
Never is colour alone what tells two things apart: lines differ in dash or marker too.
"""

from dataclasses import dataclass
from enum import Enum


class Dash(Enum):
    """How a line is drawn: training solid, validation dashed."""

    SOLID = "solid"
    DASHED = "dashed"
    DOTTED = "dotted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve of as many x as y. With a *marker* its points are shown."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    color: int = 0
    dash: Dash = Dash.SOLID
    marker: bool = False
    low: tuple[float, ...] = ()  # bounds of the interval at each point, or ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Raw readings, or points of which each has a *texts* of its own beside it (or ())."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    color: int = 0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One bar a category of the panel, from 0; None leaves a gap."""

    label: str
    heights: tuple[float | None, ...]
    color: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the x-axis, shaded and named."""

    label: str
    start: float
    end: float
    color: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point worth a word."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A level worth a word: a limit, a target."""

    text: str
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes. With *categories*, x counts them from 0. A panel without data says *empty*."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    dots: tuple[Dots, ...] = ()
    bars: tuple[Bars, ...] = ()
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    rules: tuple[Rule, ...] = ()
    categories: tuple[str, ...] = ()
    log_y: bool = False
    empty: str = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure. *name* is its file's; *alt* says in words and numbers what it shows."""

    name: str
    title: str
    caption: str
    alt: str
    panels: tuple[Panel, ...]
    columns: int = 1
