import os
import re
import struct
import subprocess
import sys
import zlib
from itertools import pairwise
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from harness.report.figures.charts import Bars, Chart, Curve, Dash, Dots, Mark, Panel, Rule, ShadedSpan
from harness.report.figures.draw import draw

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = ["$x^2$", "$", "_hidden", "<script>alert(1)</script>", "a & b", "{braces} \\frac", "100 %", "模型 🚀", "__"]


def panel(**parts):
    return Panel(**{"title": "Loss", "x_label": "iteration", "y_label": "nat/token"} | parts)


def chart(*panels, columns=1):
    return Chart(name="loss", title="How the loss fell", caption="", alt="", panels=panels, columns=columns)


def line(label="training", y=(3.0, 2.0, 1.0), **parts):
    return Curve(label=label, x=tuple(map(float, range(len(y)))), y=tuple(y), **parts)


def svg(*panels, columns=1):
    return draw(chart(*panels, columns=columns), ["svg"])["svg"].decode()


def parsed(drawn):
    return ET.fromstring(drawn)  # noqa: S314 - it is our own


def texts(*panels, columns=1):
    return ["".join(element.itertext()) for element in parsed(svg(*panels, columns=columns)).iter(f"{SVG}text")]


def pixels(png):
    """Read the bitmap of a PNG by hand: matplotlib writes 8 bits of red, green, blue and alpha, not interlaced."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += size + 12
    return chunks


FOUR = (
    panel(
        lines=(
            line(y=(3, 2, 90, 1), low=(2, 1, 80, 0.5), high=(4, 3, 99, 2)),
            line("validation", dash=Dash.DASHED, color=1),
        ),
        spans=(ShadedSpan(label="Descent", start=0, end=1), ShadedSpan(label="Spike 1", start=1.5, end=2.5, color=1)),
        marks=(Mark(text="peak: 90", x=2, y=90), Mark(text="best: 1", x=3, y=1)),
        log_y=True,
    ),
    panel(lines=(line(y=(0.5, 0.5)),), rules=(Rule(text="limit 6 GiB", y=6.0),)),
    panel(bars=(Bars(label="a", heights=(1, None)), Bars(label="b", heights=(2, 3), color=1)), categories=("x", "y")),
    panel(dots=(Dots(label="runs", x=(1, 2), y=(3, 4), texts=("one", "two")),)),
)


def test_the_bytes_are_the_same_in_every_process():
    program = (
        "import sys; sys.path.insert(0, 'tests/report/figures'); import test_draw as t, hashlib;"
        "files = t.draw(t.chart(*t.FOUR, columns=2), ['svg', 'png']);"
        "print([hashlib.sha256(files[form]).hexdigest() for form in ('svg', 'png')])"
    )

    def printed(**variables):
        run = subprocess.run(
            [sys.executable, "-c", program], env=os.environ | variables, capture_output=True, text=True, check=True
        )
        return run.stdout

    digests = printed(PYTHONHASHSEED="1", LC_ALL="C", SOURCE_DATE_EPOCH="0")
    assert digests == printed(PYTHONHASHSEED="77", LC_ALL="de_DE.UTF-8", TZ="Asia/Tokyo")
    assert digests.count("'") == 4


def test_one_form_is_drawn_as_it_is_beside_the_other():
    both = draw(chart(FOUR[0]), ["png", "svg"])
    assert both["svg"] == draw(chart(FOUR[0]), ["svg"])["svg"]
    assert both["png"] == draw(chart(FOUR[0]), ["svg", "png"])["png"]
    assert list(both) == ["png", "svg"]


def test_whoever_has_settings_of_his_own_gets_the_same_figure_and_keeps_them():
    first = draw(chart(FOUR[0]), ["svg"])
    with mpl.rc_context({"font.size": 30, "axes.titleweight": "bold", "svg.fonttype": "path"}):
        assert draw(chart(FOUR[0]), ["svg"]) == first
        assert mpl.rcParams["font.size"] == 30


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_shown_as_it_was_written(label):
    printed_texts = texts(
        panel(
            title=label,
            x_label=label,
            y_label=label,
            lines=(line(label), line("other", color=1)),
            dots=(Dots(label="dots", x=(1,), y=(1,), texts=(label,)),),
            spans=(ShadedSpan(label=label, start=0, end=1),),
            marks=(Mark(text=label, x=1, y=2),),
            rules=(Rule(text=label, y=3),),
        )
    )
    assert printed_texts.count(label) == 8
    assert texts(panel(bars=(Bars(label="", heights=(1, 2)),), categories=(label, "b"))).count(label) == 1
    assert texts(panel(empty=label)).count(label) == 1


def test_hostile_labels_are_drawn_as_a_bitmap_too():
    draw(chart(panel(lines=tuple(line(label) for label in HOSTILE))), ["png"])


def test_a_title_is_shown_as_it_was_written():
    hostile = Chart(name="x", title="$x$ <b> \x1b", caption="", alt="", panels=(panel(),))
    assert "$x$ &lt;b&gt; �" in draw(hostile, ["svg"])["svg"].decode()


def test_everything_a_chart_says_is_text_in_the_drawing():
    printed_texts = texts(*FOUR, columns=2)
    expected = [
        "How the loss fell",
        "training",
        "validation",
        "Descent",
        "Spike 1",
        "peak: 90",
        "best: 1",
        "limit 6 GiB",
    ]
    for text in [*expected, "a", "b", "x", "y", "one", "two"]:
        assert printed_texts.count(text) == 1, text
    assert printed_texts.count("Loss") == printed_texts.count("nat/token") == 4


def test_a_single_series_needs_no_legend():
    assert "training" not in texts(panel(lines=(line(),)))
    assert "training" in texts(panel(lines=(line(), line("validation", color=1))))


def test_the_drawing_asks_for_nothing_from_outside():
    drawn = svg(*FOUR, columns=2)
    assert set(re.findall(r"https?://[^\"']*", drawn)) == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<!DOCTYPE" not in drawn
    assert "<image" not in drawn
    assert "@import" not in drawn


def test_a_drawing_tells_nothing_of_when_and_with_what_it_was_made():
    both = draw(chart(panel(lines=(line(),))), ["svg", "png"])
    assert b"metadata" not in both["svg"]
    assert [kind for kind, _ in pixels(both["png"]) if kind in {b"tEXt", b"iTXt", b"zTXt", b"tIME"}] == []


def test_texts_follow_the_readers_scheme():
    drawn = svg(panel(lines=(line(), line("b", color=1)), marks=(Mark(text="m", x=1, y=1),)))
    assert "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}" in drawn
    assert not re.search(r"<text[^>]*fill:", drawn)
    assert "#ffffff" not in drawn
    assert "#000000" not in drawn


def test_a_bitmap_is_on_white():
    chunks = pixels(draw(chart(panel(lines=(line(),))), ["png"])["png"])
    data = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    assert data[1:5] == b"\xff\xff\xff\xff"  # the first pixel, after the row's filter


def test_an_empty_panel_says_why_and_has_no_numbers():
    printed_texts = texts(
        panel(
            empty="not measured: no validation",
            marks=(Mark(text="best", x=1, y=1),),
            rules=(Rule(text="limit", y=1),),
            spans=(ShadedSpan(label="spike", start=0, end=1),),
        )
    )
    assert printed_texts == ["iteration", "nat/token", "not measured: no validation", "Loss", "How the loss fell"]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("y", [(2.0,), (5.0, 5.0, 5.0), (1e-30, 1e30), (0.0,), (0.0, 0.0), (1e38, 1e38), (-3.0, 4.0)])
def test_odd_curves_are_drawn_without_a_warning(y, log):
    spans, rules = (ShadedSpan(label="s", start=0, end=0),), (Rule(text="r", y=0.0),)
    draw(chart(panel(lines=(line(y=y),), spans=spans, rules=rules, log_y=log)), ["svg"])


def test_one_point_is_seen():
    drawing = parsed(svg(panel(lines=(line(y=(2.0,)),))))
    assert any("#0072b2" in (element.get("style") or "") for element in drawing.iter(f"{SVG}use"))


def test_bars_of_no_height_stand_on_an_axis_up_to_one():
    assert {"0", "1"} <= set(texts(panel(bars=(Bars(label="", heights=(0.0, 0.0)),), categories=("a", "b"))))


@pytest.mark.parametrize("heights", [(None, 0.0), (0.0, 3.0), (None, None)])
def test_bars_of_no_height_are_drawn_without_a_warning(heights):
    assert "b" in texts(panel(bars=(Bars(label="", heights=heights),), categories=("a", "b"))) or set(heights) == {None}


def test_bars_begin_at_zero():
    assert "0" in texts(panel(bars=(Bars(label="", heights=(100.0, 101.0)),), categories=("a", "b")))
    assert "0" not in texts(panel(lines=(line(y=(100.0, 101.0)),), x_label="", categories=("a", "b")))


def test_a_logarithmic_panel_says_how_many_points_it_has_no_place_for():
    assert "2 points at or below 0 not shown" in texts(panel(lines=(line(y=(0, -1, 1, 2)),), log_y=True))
    assert "1 point at or below 0 not shown" in texts(panel(lines=(line(y=(0, 1, 2)),), log_y=True))
    assert "no point above 0" in texts(panel(lines=(line(y=(0, 0)),), log_y=True))


def test_numbers_on_axes_are_written_plainly():
    printed_texts = texts(panel(lines=(Curve(label="", x=(0.0, 15000.0), y=(-1.0, 1.0)),)))
    assert {"15,000", "\u22121"} <= set(printed_texts)
    assert {"1", "10", "100"} <= set(texts(panel(lines=(line(y=(0.9, 110)),), log_y=True)))
    assert not any("$" in text or "mathdefault" in text for text in printed_texts)


def positions(drawn, *labels):
    place_of = {}
    for element in parsed(drawn).iter(f"{SVG}text"):
        if (text := "".join(element.itertext())) in labels:
            place_of[text] = np.array([float(element.get("x")), float(element.get("y"))])
    return [place_of[text] for text in labels]


def test_words_that_would_meet_stand_apart():
    marks = tuple(Mark(text=f"mark {i}", x=1.0, y=2.0) for i in range(6))
    places = positions(svg(panel(lines=(line(),), marks=marks)), *(mark.text for mark in marks))
    for i, place in enumerate(places):
        for other in places[:i]:
            across, up = abs(place - other)
            assert across > 30 or up > 8


def test_words_stay_inside_their_panel():
    marks = (Mark(text="the very first of them all", x=0, y=3), Mark(text="the very last of them all", x=2, y=1))
    drawn = svg(panel(lines=(line(),), marks=marks))
    width, height = map(float, parsed(drawn).get("viewBox").split()[2:])
    first, last = positions(drawn, *(mark.text for mark in marks))
    assert first[0] > 0
    assert last[0] + 25 * 3.5 < width
    assert 0 < min(first[1], last[1]) <= max(first[1], last[1]) < height


def test_names_of_narrow_spans_stand_below_one_another():
    spans = tuple(ShadedSpan(label=f"A phase {i}", start=i / 50, end=(i + 1) / 50) for i in range(4))
    heights = [y for _, y in positions(svg(panel(lines=(line(),), spans=spans)), *(span.label for span in spans))]
    assert all(lower - upper > 8 for upper, lower in pairwise(heights))


def test_a_span_does_not_stretch_the_axis():
    data = line(y=(30, 20, 10))
    far = (ShadedSpan(label="far", start=1, end=1000), ShadedSpan(label="from the first", start=-9, end=1))
    alone, beside = svg(panel(lines=(data,))), svg(panel(lines=(data,), spans=far))
    assert [x for x, _ in positions(alone, "0.5", "1.5")] == [x for x, _ in positions(beside, "0.5", "1.5")]


def test_a_span_outside_the_data_is_not_shown():
    gone = (ShadedSpan(label="before", start=-9, end=-8), ShadedSpan(label="after", start=8, end=9))
    assert not {"before", "after"} & set(texts(panel(lines=(line(),), spans=gone)))


def test_a_span_has_its_name_where_it_begins():
    spans = (ShadedSpan(label="a", start=0, end=1), ShadedSpan(label="b", start=1, end=2))
    drawn = svg(panel(lines=(line(y=(30, 20, 10)),), spans=spans))
    (a, upper), (b, lower), (tick, _) = positions(drawn, "a", "b", "1")
    assert upper == pytest.approx(lower, abs=0.1)
    assert a < 100 < tick < b < tick + 20


def test_many_series_make_a_figure_higher_and_never_too_small():
    few, many = (
        parsed(svg(panel(lines=tuple(line(f"run number {i} of a long name", color=i) for i in range(count)))))
        for count in (2, 60)
    )
    assert float(many.get("viewBox").split()[3]) > float(few.get("viewBox").split()[3]) + 200


def test_lines_of_one_color_differ_in_marker():
    drawn = parsed(svg(panel(lines=(line("a", color=1), line("b", color=6)))))
    markers = [element for element in drawn.iter(f"{SVG}use") if "#d55e00" in (element.get("style") or "")]
    assert len({element.get("{http://www.w3.org/1999/xlink}href") for element in markers}) == 2
