import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.figures.charts import Bars, Curve, Dots, Mark, Panel, Rule, ShadedSpan
from harness.report.figures.drawable import drawable, envelope, shown


def panel(**parts):
    return Panel(title="Loss", x_label="iteration", y_label="nat/token", **parts)


def test_a_short_curve_is_drawn_whole():
    assert envelope([3.0, 1.0, 2.0], most_points=4) == [0, 1, 2]
    assert envelope([], most_points=4) == []


def test_of_each_stretch_the_lowest_and_the_highest_are_kept():
    # 12 values in (8 // 2 - 1) = 3 stretches of 4
    assert envelope([5, 1, 9, 5, 4, 4, 8, 2, 7, 7, 7, 7], most_points=8) == [0, 1, 2, 6, 7, 8, 11]


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=400), st.integers(4, 60))
def test_no_spike_and_no_end_is_lost_and_no_more_is_drawn_than_may_be(values, most):
    kept = envelope(values, most)
    assert kept == sorted(set(kept))
    assert len(kept) <= max(most, 0)
    assert {0, len(values) - 1} <= set(kept)
    drawn = [values[i] for i in kept]
    assert (min(drawn), max(drawn)) == (min(values), max(values))


def test_15000_points_are_thinned_with_their_bounds():
    y = [1.0] * 15000
    y[7777] = 40.0
    line = Curve(label="training", x=tuple(map(float, range(15000))), y=tuple(y), low=tuple(y), high=tuple(y))
    (thin,), _ = drawable(panel(lines=(line,)))[0].lines, None
    assert 700 < len(thin.y) <= 1500
    assert thin.y == thin.low == thin.high
    assert thin.y[thin.x.index(7777.0)] == 40.0


def test_a_logarithmic_axis_leaves_out_what_is_not_above_zero_and_counts_it():
    line = Curve(label="training", x=(1, 2, 3, 4), y=(5, 0, -1, 2), low=(4, -1, -2, 1), high=(6, 1, 0, 3))
    dots = Dots(label="runs", x=(1, 2), y=(0, 7), texts=("a", "b"))
    marks, rules = (Mark(text="best", x=3, y=-1), Mark(text="end", x=4, y=2)), (Rule(text="floor", y=0),)
    shown_panel, left_out = drawable(panel(lines=(line,), dots=(dots,), marks=marks, rules=rules, log_y=True))
    (drawn,), (texts,) = shown_panel.lines, shown_panel.dots
    assert (drawn.x, drawn.y, drawn.low, drawn.high) == ((1, 4), (5, 2), (4, 1), (6, 3))
    assert (texts.y, texts.texts) == ((7,), ("b",))
    assert ([mark.text for mark in shown_panel.marks], shown_panel.rules) == (["end"], ())
    assert left_out == 3


def test_an_even_axis_leaves_out_nothing():
    line = Curve(label="gap", x=(1, 2), y=(0, -1))
    marks, rules = (Mark(text="best", x=2, y=-1),), (Rule(text="none", y=0),)
    whole = panel(lines=(line,), marks=marks, rules=rules)
    assert drawable(whole) == (whole, 0)


def test_a_series_without_a_point_is_not_drawn():
    bars = Bars(label="peak", heights=(None, None))
    empty = panel(lines=(Curve(label="a", x=(), y=()),), dots=(Dots(label="b", x=(), y=()),), bars=(bars,))
    assert drawable(empty)[0] == panel()


def test_a_panel_with_nothing_above_zero_says_so():
    assert drawable(panel(lines=(Curve(label="a", x=(1,), y=(0,)),), log_y=True))[0].empty == "no point above 0"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("qv-r8", "qv-r8"),
        ("two\nlines\tand  more ", "two lines and more"),
        ("bell\a esc\x1b[31m", "bell� esc�[31m"),
        ("right\u202eleft", "right�left"),
        ("half \ud800 pair", "half � pair"),
        ("no character \uffff", "no character �"),
        ("<b>$x^2$ _a &amp;", "<b>$x^2$ _a &amp;"),
        ("a" * 40, "a" * 40),
        ("a" * 30 + "b" * 30, "a" * 20 + "…" + "b" * 19),
    ],
)
def test_a_text_is_one_line_of_visible_characters(text, line):
    assert shown(text) == line


def test_every_text_of_a_panel_is_made_fit_to_be_shown():
    odd = "x\x00" * 100
    original = Panel(
        title=odd,
        x_label=odd,
        y_label=odd,
        lines=(Curve(label=odd, x=(1,), y=(1,)),),
        dots=(Dots(label=odd, x=(1,), y=(1,), texts=(odd,)),),
        bars=(Bars(label=odd, heights=(1,)),),
        spans=(ShadedSpan(label=odd, start=0, end=1),),
        marks=(Mark(text=odd, x=1, y=1),),
        rules=(Rule(text=odd, y=1),),
        categories=(odd,),
        empty=odd,
    )
    prepared = drawable(original)[0]
    texts = [
        prepared.title,
        prepared.x_label,
        prepared.y_label,
        prepared.empty,
        *prepared.categories,
        *prepared.dots[0].texts,
    ]
    texts += [part.label for part in (*prepared.lines, *prepared.dots, *prepared.bars, *prepared.spans)]
    texts += [part.text for part in (*prepared.marks, *prepared.rules)]
    assert len(texts) == 12
    assert not any("\x00" in text or len(text) > 90 for text in texts)
