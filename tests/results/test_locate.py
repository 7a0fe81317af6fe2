import pytest

from harness.errors import HarnessError, UnknownName
from harness.gate import save_baseline
from harness.results.locate import locate
from harness.results.store import read_run
from tests.support.samples import bundle, record, stored


def a_run(results_dir, run_id, **head):
    """Store a run of one case; give its directory."""
    (directory,) = stored(results_dir, bundle(record(), id=run_id, **head))
    return directory


@pytest.fixture
def three(tmp_path):
    """Three runs, the youngest first by name."""
    a_run(tmp_path, "20260101-aa", started_at="2026-03-01T00:00:00Z")
    a_run(tmp_path, "20260102-bb", started_at="2026-02-01T00:00:00Z")
    a_run(tmp_path, "20260102-bbb", started_at="2026-01-01T00:00:00Z")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("20260101-aa", "20260101-aa"),
        ("20260101", "20260101-aa"),
        ("20260102-bb", "20260102-bb"),  # a whole id, though another one begins so
        ("20260102-bbb", "20260102-bbb"),
        ("latest", "20260101-aa"),  # by its start, not by its name
    ],
)
def test_a_run_answers_to_its_id_a_prefix_of_it_and_latest(three, name, run_id):
    assert locate(name, three) == three / run_id


def test_a_prefix_of_several_runs_is_refused_with_all_that_there_are(three):
    with pytest.raises(UnknownName, match=r"unknown run '20260102'.*20260101-aa, .*More than one begins so"):
        locate("20260102", three)


@pytest.mark.parametrize("name", ["2027", "bb", "LATEST"])
def test_a_name_that_no_run_answers_to_is_refused(three, name):
    with pytest.raises(
        UnknownName, match=rf"unknown run '{name}'.*`tunebench runs` and `tunebench baseline list` list them"
    ):
        locate(name, three)


def test_there_is_no_latest_run_where_there_is_none(tmp_path):
    with pytest.raises(UnknownName, match=r"unknown run 'latest'\. Known: none\."):
        locate("latest", tmp_path)


def test_a_torn_run_is_not_the_latest(three):
    (three / "20260101-aa" / "run.json").write_text("{")
    assert locate("latest", three) == three / "20260102-bb"


def test_a_run_that_cannot_be_read_is_the_latest_only_if_there_is_no_other(tmp_path):
    (a_run(tmp_path, "torn") / "run.json").write_text("{")
    assert locate("latest", tmp_path) == tmp_path / "torn"


def test_the_latest_run_is_found_though_its_directory_was_renamed(three):
    (three / "20260101-aa").rename(three / "kept")
    assert locate("latest", three) == three / "kept"


def test_a_name_longer_than_any_file_is_just_unknown(three):
    with pytest.raises(UnknownName, match="unknown run 'xxx"):
        locate("x" * 5000, three)


def test_a_path_is_taken_before_a_name(three, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    directory = a_run(elsewhere, "20260101-aa")
    bundle = elsewhere / "bundle.json"
    bundle.write_text("{}")
    assert locate(str(directory), three) == directory
    assert locate(str(bundle), three) == bundle
    monkeypatch.chdir(elsewhere)
    assert locate("20260101-aa", three).resolve() == directory.resolve()


def test_a_directory_without_a_run_is_no_run(three, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(UnknownName, match="unknown run"):
        locate(str(empty), three)


def test_an_empty_name_is_no_run(tmp_path):
    a_run(tmp_path, "r1")
    with pytest.raises(UnknownName):
        locate("", tmp_path)


@pytest.mark.parametrize("name", ["S0", "S1", "S2", "S3", "S4"])
def test_a_published_report_answers_to_its_name(three, name):
    assert read_run(locate(f"published:{name}", three)).run.id == name
    assert locate(f"published:{name.lower()}", three) == locate(f"published:{name}", three)


@pytest.mark.parametrize("name", ["S9", "", "../published/S2", "S2.json"])
def test_an_unknown_published_report_is_refused_with_those_there_are(three, name):
    with pytest.raises(UnknownName, match=rf"unknown published report '{name}'\..* Known: S0, S1, S2, S3, S4\."):
        locate(f"published:{name}", three)


# --- baselines ---


def save(results_dir, run_id, name):
    return save_baseline.save(bundle(record(), id=run_id), name, "a reason", results_dir)


def test_a_baseline_answers_to_its_name_and_earlier_ones_to_their_numbers(three):
    save(three, "b1", "main")
    save(three, "b2", "main")
    assert read_run(locate("main", three)).run.id == "b2"
    assert [read_run(locate(f"main@{number}", three)).run.id for number in (1, 2)] == ["b1", "b2"]


def test_a_number_that_no_baseline_has_is_refused_with_those_there_are(three):
    save(three, "b1", "main")
    with pytest.raises(UnknownName, match=r"unknown number of the baseline 'main' '7'\. Known: 1\."):
        locate("main@7", three)


def test_the_whole_name_of_a_baseline_is_found_before_the_prefix_of_a_run(three):
    save(three, "b1", "20260101")
    assert read_run(locate("20260101", three)).run.id == "b1"


def test_a_name_that_is_a_run_s_and_a_baseline_s_is_refused_with_what_to_give(three):
    save(three, "b1", "20260102-bb")
    with pytest.raises(HarnessError, match=r"'20260102-bb' is a run and a baseline") as refusal:
        locate("20260102-bb", three)
    assert str(three / "20260102-bb") in str(refusal.value)
    assert str(three / "baseline" / "20260102-bb" / "0001.json") in str(refusal.value)


def test_baselines_are_among_what_is_known(three):
    save(three, "b1", "main")
    with pytest.raises(UnknownName, match=r"Did you mean 'main'\? Known: .*main.*`tunebench baseline list`"):
        locate("mian", three)
