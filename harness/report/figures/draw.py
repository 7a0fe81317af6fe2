"""Draw charts as SVG and PNG, with the same bytes on every machine that has the same matplotlib.

Texts are printed as they are, never as formulas. One SVG serves light and dark pages: its line colors are visible on
both, and its texts follow the reader's color scheme. In a chart of one column, the panels below the first are lower.
"""

import io
import math
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.report.figures import style
from harness.report.figures.charts import Chart
from harness.report.figures.draw_panel import PanelAxes
from harness.report.figures.drawable import shown

VERSION = matplotlib.__version__  # another version may draw a line elsewhere
_DOCTYPE = re.compile(r"<!DOCTYPE[^>]*>\s*")  # removed since it holds a URL


def draw(chart: Chart, forms: Sequence[str]) -> dict[str, bytes]:
    """Draw the chart in each of *forms*: "svg", "png", or both. PNG has a white background, SVG a transparent one."""
    with matplotlib.style.context(["default", style.SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a reader of the SVG has other fonts too
        figure = _figure(chart)
        return {form: _WRITERS[form](figure) for form in forms}


def _svg(figure: Figure) -> bytes:
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(file, metadata=nothing)  # type: ignore[no-untyped-call]
    figure.set_dpi(style.DPI)  # print_svg sets another one
    text = _DOCTYPE.sub("", file.getvalue(), count=1)
    return text.replace('<style type="text/css">', f'<style type="text/css">{style.SCHEMES}', 1).encode()


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    figure.set_facecolor("none")
    return file.getvalue()


_WRITERS = {"svg": _svg, "png": _png}


def _figure(chart: Chart) -> Figure:
    columns = max(1, min(chart.columns, len(chart.panels)))
    rows = math.ceil(len(chart.panels) / columns)
    width_in = style.PANEL_IN[0] if columns > 1 else style.ALONE_IN
    heights_in = [style.PANEL_IN[1]] + [style.PANEL_IN[1] if columns > 1 else style.STRIP_IN] * (rows - 1)
    figure = Figure(layout="constrained", facecolor="none")
    figure.suptitle(shown(chart.title, 90))
    grid = figure.add_gridspec(rows, columns)
    renderer: Any = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    panels = []
    for i, panel in enumerate(chart.panels):
        room_pt = ((width_in - style.FRAME_IN) * 72, (heights_in[i // columns] - style.FRAME_IN) * 72)
        panels.append(PanelAxes(figure.add_subplot(grid[i // columns, i % columns]), panel, renderer, room_pt))
    for row in range(rows):
        heights_in[row] += max(panel_axes.extra_pt for panel_axes in panels[row * columns : (row + 1) * columns]) / 72
    grid.set_height_ratios(heights_in)
    figure.set_size_inches(columns * width_in, sum(heights_in) + style.TITLE_IN)
    figure.draw_without_rendering()  # lays it out, once for all forms
    figure.set_layout_engine("none")
    for panel_axes in panels:
        panel_axes.write()
    return figure
