"""A report is believed once it has been made again."""

import shutil

import pytest

from harness.errors import BadReport, BadResultFile
from harness.report.build import build, read, write
from harness.report.figures import draw
from harness.report.verify import verify
from harness.results.locate import locate
from tests.support.samples import bundle, full_record, small_run, stored


def problems_of(path, results_dir, **options):
    verification = verify(path, results_dir, **options)
    assert verification.remarks == ()
    return list(verification.problems)


@pytest.fixture
def results(tmp_path):
    stored(tmp_path / "results", bundle(*small_run().records, full_record()))
    return tmp_path / "results"


@pytest.fixture
def run(results):
    (directory,) = results.iterdir()
    return directory


def written(run, form="md", kind="comparison", place=None, **options):
    directory = place or run
    report = build(kind, read([run]), beside=directory, **options)
    (path,) = write(report, directory, [form], templates=options.get("templates"))
    return path


@pytest.mark.parametrize("form", ["md", "html", "json", "comment"])
@pytest.mark.parametrize("kind", ["comparison", "training", "cards"])
def test_a_report_that_was_left_alone_holds(run, results, form, kind):
    assert problems_of(written(run, form, kind), results) == []


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_one_changed_digit_is_found(run, results, form):
    path = written(run, form)
    text = path.read_text(encoding="utf-8")
    assert "22.00" in text
    path.write_text(text.replace("22.00", "23.00"), encoding="utf-8")
    problems = "\n".join(problems_of(path, results))
    assert "23.00" in problems
    assert "22.00" in problems


def test_a_figure_that_was_changed_or_lost_is_found(run, results):
    path = written(run, kind="training")
    svg, png = (run / "figures" / f"training_analysis.{form}" for form in ("svg", "png"))
    svg.unlink()
    png.write_bytes(b"another")
    assert problems_of(path, results) == [
        "figures/training_analysis.svg: is missing",
        "figures/training_analysis.png: another picture",
    ]


def test_results_that_changed_since_are_named(run, results):
    path = written(run)
    file = run / "inference+tiny+r8.json"
    file.write_text(file.read_text(encoding="utf-8").replace("22.0", "23.0"), encoding="utf-8")
    first, *differences = problems_of(path, results)
    assert first == f"the run {run.name} is no longer what the report was made from"
    assert any("23.00" in line for line in differences)


def test_a_report_that_was_moved_finds_its_run_among_the_results(run, results, tmp_path):
    path = written(run, "html")  # which holds its figures
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    shutil.move(path, moved)
    assert problems_of(moved, results) == []


def test_a_report_without_its_run_is_refused(run, results, tmp_path):
    path = written(run, place=tmp_path / "out")
    shutil.rmtree(run)
    with pytest.raises(BadReport, match=r"which is neither at .* nor in .*; say where your runs are"):
        problems_of(path, results)


def test_a_run_that_is_torn_is_refused(run, results):
    path = written(run)
    (run / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadResultFile):
        problems_of(path, results)


def test_a_report_of_own_templates_holds_with_these_alone(run, results, tmp_path):
    user_templates = tmp_path / "own"
    user_templates.mkdir()
    (user_templates / "comparison.md.j2").write_text(
        '{% extends "tunebench/report.md.j2" %}{% block banners %}{% endblock %}'
    )
    path = written(run, templates=user_templates)
    assert problems_of(path, results, templates=user_templates) == []
    assert "made with other templates; give those: --templates DIR" in problems_of(path, results)
    (user_templates / "comparison.md.j2").write_text('{% extends "tunebench/report.md.j2" %}')
    assert "made with other templates; give those: --templates DIR" in problems_of(
        path, results, templates=user_templates
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("report.pdf", "x", "not a report; give one that ends in .md, .html, .json"),
        ("report.md", "# Hello", "not a report of this program"),
        ("report.html", "<p>", "not a report of this program"),
        ("report.json", "{}", "not a report of this program"),
        ("report.md", '<!-- tunebench {"kind":1} -->', "not a report of this program"),
    ],
)
def test_what_is_no_report_is_refused(results, tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadReport, match=message):
        problems_of(tmp_path / name, results)


def test_a_report_that_is_not_there_is_refused(results, tmp_path):
    with pytest.raises(BadReport, match=r"none\.md: cannot be read"):
        problems_of(tmp_path / "none.md", results)


def test_a_report_on_published_figures_holds_wherever_it_lies(results, tmp_path):
    place = tmp_path / "some where"
    report = build("training", read([locate("published:S2", results)]), beside=place)
    (path,) = write(report, place, ["html"])
    moved = path.rename(tmp_path / "moved.html")
    assert report.provenance.sources[0].path == "published:S2"
    assert problems_of(moved, results) == []


def test_a_report_of_a_policy_of_one_s_own_says_which_option_is_missing(run, results, tmp_path):
    policy = tmp_path / "mine.toml"
    policy.write_text('[use_case.phone]\nrank = { metric = "ttft_s" }\n')
    path = written(run, policy=policy)
    assert "phone" in path.read_text(encoding="utf-8")
    assert problems_of(path, results, policy=policy) == []
    assert "made with another policy; give it: --policy FILE" in problems_of(path, results)


def test_a_template_in_a_folder_below_counts_too(run, results, tmp_path):
    user_templates = tmp_path / "own"
    (user_templates / "parts").mkdir(parents=True)
    (user_templates / "comparison.md.j2").write_text('{% extends "tunebench/report.md.j2" %}')
    (user_templates / "parts" / "line.j2").write_text("one")
    path = written(run, templates=user_templates)
    (user_templates / "parts" / "line.j2").write_text("two")
    assert "made with other templates; give those: --templates DIR" in problems_of(
        path, results, templates=user_templates
    )


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_figures_of_another_matplotlib_are_not_compared_and_all_else_is(run, results, form, monkeypatch):
    monkeypatch.setattr(draw, "VERSION", "1.0")
    monkeypatch.setattr(draw, "draw", lambda chart, forms: dict.fromkeys(forms, b"<svg>otherwise</svg>"))
    path = written(run, form, "training")
    monkeypatch.undo()
    verification = verify(path, results)
    assert verification.problems == ()
    assert verification.remarks == ("figures were drawn by matplotlib 1.0 and are not compared",)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("134,515,008", "134,515,009"), encoding="utf-8")
    assert any("134,515,009" in line for line in verify(path, results).problems)
