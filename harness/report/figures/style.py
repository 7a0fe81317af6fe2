"""Style of the figures: colors, markers, sizes, and matplotlib's settings.

Source of the colors: Okabe and Ito (2008), Color Universal Design: those with a contrast of 3:1 on both white and
#0d1117, and a grey.
"""

from typing import Any

from harness.report.figures.charts import Dash

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#717581")
GREY = COLORS[4]
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "p")  # 11 against 5 colors: 55 pairs
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")
DASHES: dict[Dash, Any] = {Dash.SOLID: "-", Dash.DASHED: (0, (5, 2)), Dash.DOTTED: (0, (1, 2))}
# Texts have no color in the SVG; these rules give them one for the reader's light or dark scheme.
SCHEMES = "text{fill:#1f2328}@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"

PANEL_IN = (5.4, 3.0)  # width and height in inches, for charts of several columns
ALONE_IN = 8.0  # width in inches, for charts of one column
STRIP_IN = 1.5  # height of the panels below the first, for charts of one column
TITLE_IN = 0.3
FRAME_IN = 0.9  # part of a panel's width or height that labels take
DPI = 110
SMALL_PT = 8.0
LINE_PT = 1.35 * SMALL_PT
LEGEND_PT = 8.5
LEGEND_ROW_PT = 14.0
LEGEND_KEY_PT = 50.0  # part of a legend entry's width that is not text
GAP_PT = 5.0  # from a point to the text beside it

SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.xmargin": 0.02,
    "axes.ymargin": 0.1,
    "figure.dpi": DPI,
    "figure.titlesize": 12,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.color": GREY,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.borderaxespad": 0.2,
    "legend.fontsize": LEGEND_PT,
    "legend.frameon": False,
    "legend.handlelength": 3,  # dashes show
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "tunebench",  # ids are the same every time
    "text.parse_math": False,
    "xtick.color": GREY,
    "xtick.labelcolor": "black",
    "xtick.labelsize": 8.5,
    "ytick.color": GREY,
    "ytick.labelcolor": "black",
    "ytick.labelsize": 8.5,
}
