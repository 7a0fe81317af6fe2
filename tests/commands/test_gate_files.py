import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from harness.commands.gate_files import STDOUT, Destinations, check, markdown, workflow_commands, write
from harness.errors import BadConfig, Unwritable
from harness.gate.verdicts import GateVerdict
from tests.support.gate_samples import EVIL, every_kind, result, row, unmeasured

WORSE = GateVerdict.REGRESSION


def nothing(text):
    raise AssertionError(text)


def test_every_file_that_was_asked_for_is_written(tmp_path):
    destinations = Destinations(json=tmp_path / "a/g.json", md=tmp_path / "g.md", junit=tmp_path / "g.xml")
    write(every_kind(), destinations, nothing)
    assert json.loads(destinations.json.read_text(encoding="utf-8"))["verdict"] == "regression"
    assert destinations.md.read_text(encoding="utf-8").startswith("<!-- tunebench-gate -->")
    assert "<testsuites>" in destinations.junit.read_text(encoding="utf-8")
    assert workflow_commands(every_kind(), destinations) == ""


@pytest.mark.parametrize("form", ["json", "md", "junit"])
def test_a_dash_is_standard_output(form):
    texts = []
    destinations = Destinations(**{form: STDOUT})
    write(every_kind(), destinations, texts.append)
    assert destinations.on_stdout
    assert texts[0].lstrip()[0] in "{<"
    assert not Destinations().on_stdout


def test_places_are_refused_before_anything_is_measured_and_no_folder_is_made(tmp_path):
    destinations = Destinations(json=tmp_path / "no/g.json", md=tmp_path, junit=tmp_path / "g.xml")
    with pytest.raises(BadConfig) as refusal:
        check(destinations)
    assert str(refusal.value).splitlines()[0] == "places of the answer: 2 problems"
    assert "there is no folder" in str(refusal.value)
    assert "is a folder" in str(refusal.value)
    assert not (tmp_path / "no").exists()


def test_standard_output_is_no_file(tmp_path, monkeypatch):
    (tmp_path / "-").mkdir()
    monkeypatch.chdir(tmp_path)
    check(Destinations(json=STDOUT))


@pytest.mark.parametrize("place", [STDOUT, Path("same.txt")])
def test_two_answers_do_not_go_to_one_place(place):
    with pytest.raises(BadConfig, match="--json and --md go to one place"):
        check(Destinations(json=place, md=place))
    check(Destinations(json=place, github={}))


def test_a_step_of_github_gets_summary_outputs_and_annotations(tmp_path):
    summary, output = tmp_path / "summary", tmp_path / "output"
    summary.write_text("before\n", encoding="utf-8")
    destinations = Destinations(github={"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(output)})
    write(every_kind(), destinations, nothing)
    assert summary.read_text(encoding="utf-8").startswith("before\n<!-- tunebench-gate -->\n# Gate: regression")
    assert output.read_text(encoding="utf-8") == "verdict=regression\nexit-code=1\nregressions=1\n"
    assert workflow_commands(every_kind(), destinations).startswith("::error title=")
    assert "no step summary" not in workflow_commands(every_kind(), destinations)


def test_outside_of_github_there_are_annotations_and_no_summary(tmp_path):
    destinations = Destinations(github={})
    write(every_kind(), destinations, nothing)
    *_, notice, last = workflow_commands(every_kind(), destinations).splitlines()
    assert notice.startswith("::notice")
    assert last == "no step summary: GITHUB_STEP_SUMMARY is not set, as it is in a step of GitHub Actions"


def test_a_summary_that_is_full_is_left_alone_and_said(tmp_path):
    """GitHub drops one above 1 MiB as a whole, with what other commands of the step wrote."""
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * 950_000)
    with pytest.raises(Unwritable, match="summary is full"):
        write(every_kind(), Destinations(github={"GITHUB_STEP_SUMMARY": str(summary)}), nothing)
    assert summary.stat().st_size == 950_000


def test_what_a_step_wrote_before_counts_towards_the_summary_s_limit(tmp_path):
    summary = tmp_path / "summary"
    summary.write_bytes(b"x" * 939_000)
    write(result(*many(600)), Destinations(github={"GITHUB_STEP_SUMMARY": str(summary)}), nothing)
    assert 960_000 < summary.stat().st_size <= 1_000_000


def test_a_file_that_cannot_be_written_does_not_keep_the_others_from_it(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    github = {"GITHUB_OUTPUT": str(blocked / "o"), "GITHUB_STEP_SUMMARY": str(tmp_path / "s")}
    destinations = Destinations(json=blocked / "g.json", junit=tmp_path / "g.xml", github=github)
    with pytest.raises(Unwritable) as refusal:
        write(every_kind(), destinations, nothing)
    assert [line.strip().split(": ")[0] for line in str(refusal.value).splitlines()] == [
        str(blocked / "g.json"),
        str(blocked / "o"),
    ]
    assert (tmp_path / "g.xml").is_file()
    assert (tmp_path / "s").is_file()


def many(count, **changes):
    return [row(WORSE, f"metric_{at}", **changes) for at in range(count)]


@pytest.mark.parametrize(
    "rows",
    [
        [*many(500), *(unmeasured(metric=f"m{at}", reason=f"{at}") for at in range(100))],
        [row(WORSE, EVIL * 50, case=EVIL * 50, reason=EVIL * 50), unmeasured(metric=EVIL * 50, reason=EVIL * 50)] * 2,
        [unmeasured(metric=f"<>&|`{at}" * 100, reason="|" * 5000 + str(at), case="&" * 500) for at in range(60)],
    ],
    ids=["many", "evil", "all entities"],
)
def test_a_page_fits_into_a_comment_whatever_comes(rows):
    text = markdown(result(*rows, warnings=["&" * 5000] * 40, baseline="<" * 5000)).decode()
    assert len(text) < 65_536
    assert text.startswith("<!-- tunebench-gate -->\n# Gate: regression") or "# Gate: missing" in text
    assert "exit " in text.partition("##")[0]  # the verdict with its exit code is never what goes
    assert MarkdownIt("commonmark").render(text)


def test_a_shortened_page_says_so_and_keeps_the_worst():
    text = markdown(result(*many(600), row())).decode()
    assert "SHORTENED: left out to fit here" in text
    assert "`metric_0`" in text
    assert "`metric_599`" not in text
