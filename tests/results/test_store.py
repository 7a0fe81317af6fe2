import errno
import json
import os
import re
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import BadResultFile, HarnessError, Unwritable
from harness.results import atomic_write, codec, store
from harness.results.records import (
    Artifact,
    Better,
    Bundle,
    Environment,
    Key,
    Kind,
    Metric,
    Output,
    Readings,
    Record,
    RunInfo,
    Sample,
    Series,
    Status,
    Weights,
)
from harness.results.run_files import ProcessFile
from harness.results.store import find_runs, read_run, write_record, write_run
from tests.support.samples import key

finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(max_size=8)
facts = st.dictionaries(text, st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | text, max_size=3)
numbers = st.lists(finite, min_size=1, max_size=4).map(tuple)
measured = st.builds(
    Metric,
    unit=text,
    better=st.sampled_from(Better),
    kind=st.sampled_from(Kind),
    samples=st.lists(st.tuples(finite, finite), min_size=1, max_size=3).map(tuple),
    labels=st.none() | st.tuples(text, text),
)
missing = st.builds(
    Metric,
    unit=text,
    better=st.sampled_from(Better),
    kind=st.sampled_from(Kind),
    samples=st.none(),
    reason=st.text(min_size=1, max_size=8),
)
keys = st.builds(
    Key,
    model=text,
    weights=st.builds(Weights, source=text, sha256=text, bytes=st.integers(0, 2**50), revision=st.none() | text),
    tokenizer=text,
    dtype=text,
    quantization=st.none() | facts,
    adapter=st.none() | facts,
    dataset=st.none() | facts,
    device=text,
    settings=facts,
)
contents = st.fixed_dictionaries(
    {
        "key": st.none() | keys,
        "metrics": st.dictionaries(text, measured | missing, max_size=2),
        "series": st.dictionaries(
            text, numbers.map(lambda x: Series(unit="s", x_unit="iteration", x=x, y=x, process=2)), max_size=2
        ),
        "outputs": st.lists(
            st.builds(
                Output,
                prompt_id=text,
                prompt=text,
                text=text,
                finish_reason=st.sampled_from(["stop", "length", "unknown"]),
                prompt_tokens=st.integers(0, 9),
                output_tokens=st.integers(0, 9),
            ),
            max_size=2,
        ).map(tuple),
        "artifacts": st.lists(st.builds(Artifact, path=text, sha256=text, bytes=st.integers(0, 2**50)), max_size=2).map(
            tuple
        ),
        "notes": st.lists(text, max_size=2).map(tuple),
        "identity": st.dictionaries(text, text, max_size=2),
        "data": st.none() | facts,
    }
)
endings = st.just((Status.OK, None)) | st.tuples(
    st.sampled_from([status for status in Status if status is not Status.OK]), st.text(min_size=1, max_size=8)
)
heads = st.builds(
    RunInfo,
    id=text,
    started_at=text,
    finished_at=st.none() | text,
    command=st.lists(text, max_size=3).map(tuple),
    profile=text,
    git=st.none() | facts,
    paired_with=st.none() | text,
    options=facts,
    warnings=st.lists(text, max_size=2).map(tuple),
    order=st.lists(text, max_size=2).map(tuple),
    resumed_at=st.lists(text, max_size=2).map(tuple),
)
environments = st.builds(
    Environment,
    device=facts,
    os=facts,
    packages=st.dictionaries(text, st.none() | text, max_size=2),
    blas=facts,
    roofline=facts,
    power=facts,
    compiler=st.none() | text,
    power_after=st.none() | facts,
    self_check=st.none() | facts,
    code=st.none() | text,
)


def run(run_id="r1", started_at="2026-01-01T00:00:00Z"):
    return RunInfo(id=run_id, started_at=started_at, finished_at=None, command=("pytest",), profile="smoke", git=None)


def record(case="training/tiny/r8", **others):
    defaults = {"status": Status.OK, "reason": None, "started_at": "2026-01-01T00:00:00Z", "wall_s": 1.0, "key": None}
    return Record(**{"case": case, "suite": case.split("/")[0], "metrics": {}, **defaults, **others})


def store_run(results, run_id="r1", cases=("training/tiny/r8",), started_at="2026-01-01T00:00:00Z"):
    write_run(results / run_id, run(run_id, started_at), None)
    for case in cases:
        write_record(results / run_id, run_id, record(case))
    return results / run_id


def cases_of(bundle):
    return [record.case for record in bundle.records]


def no_room(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# --- round trips ---


@given(heads, st.none() | environments, st.lists(st.tuples(endings, contents, finite), max_size=3))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
def test_a_run_comes_back_as_it_was_written(tmp_path_factory, head, environment, contents_of_records):
    directory = tmp_path_factory.mktemp("results") / "run"
    records = [
        record(f"training/tiny/r{number}", status=status, reason=reason, wall_s=wall_s, **content)
        for number, ((status, reason), content, wall_s) in enumerate(contents_of_records)
    ]
    write_run(directory, head, environment)
    paths = [write_record(directory, head.id, each) for each in records]
    bundle = read_run(directory)
    assert bundle == Bundle(schema=1, run=head, environment=environment, records=tuple(records))
    assert {path.name for path in directory.iterdir()} == {"run.json", *(path.name for path in paths)}
    single = directory / "bundle"
    single.write_bytes(codec.encode(bundle))
    assert read_run(single) == bundle


def test_a_case_has_its_own_file_named_after_it(tmp_path):
    path = write_record(tmp_path, "r1", record("evaluation/tiny/base"))
    assert path == tmp_path / "evaluation+tiny+base.json"


def test_a_file_says_its_schema_and_its_run(tmp_path):
    """Other programs read these files, so the names of the fields are fixed."""
    directory = store_run(tmp_path)
    assert json.loads((directory / "run.json").read_text())["schema"] == 1
    content = json.loads((directory / "training+tiny+r8.json").read_text())
    assert (content["schema"], content["run_id"], content["record"]["status"]) == (1, "r1", "ok")


def test_records_come_in_the_order_they_were_measured(tmp_path):
    directory = store_run(tmp_path, cases=())
    for case, minute in [("training/b/x", 2), ("evaluation/b/x", 3), ("training/c/x", 1), ("training/a/x", 2)]:
        write_record(directory, "r1", record(case, started_at=f"2026-01-01T00:0{minute}:00Z"))
    in_order = ["training/c/x", "training/a/x", "training/b/x", "evaluation/b/x"]
    assert cases_of(read_run(directory)) == in_order
    assert [cases_of(bundle) for bundle in find_runs(tmp_path).runs] == [in_order]


def test_a_case_that_is_measured_again_replaces_its_record(tmp_path):
    directory = store_run(tmp_path)
    write_record(directory, "r1", record(wall_s=2.0))
    assert [each.wall_s for each in read_run(directory).records] == [2.0]


def test_a_session_that_goes_on_replaces_its_head(tmp_path):
    directory = store_run(tmp_path)
    write_run(directory, run("r1", "2027-01-01T00:00:00Z"), None)
    assert read_run(directory).run.started_at == "2027-01-01T00:00:00Z"


# --- what cannot be read ---


def test_a_record_from_before_data_were_described_is_read_as_one_without(tmp_path):
    directory = store_run(tmp_path)
    path = directory / "training+tiny+r8.json"
    old = json.loads(path.read_text())
    del old["record"]["data"]
    path.write_text(json.dumps(old))
    assert [record.data for record in read_run(directory).records if record.case == "training/tiny/r8"] == [None]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"schema": 1}', b"\xff\xfe", b'{"benchmarks": [], "version": "5.1.0"}'],
)
@pytest.mark.parametrize("name", ["run.json", "training+tiny+r8.json", "bundle.json"])
def test_what_is_not_a_result_is_refused_by_its_own_name(tmp_path, name, content):
    directory = store_run(tmp_path)
    run_path = tmp_path / name if name == "bundle.json" else directory
    odd = tmp_path / name if name == "bundle.json" else directory / name
    odd.write_bytes(content)
    with pytest.raises(BadResultFile) as refusal:
        read_run(run_path)
    assert str(refusal.value).startswith(f"{odd}: ")
    assert "measure again" in str(refusal.value)


@pytest.mark.parametrize("name", ["run.json", "training+tiny+r8.json"])
def test_a_file_that_ends_too_soon_is_refused(tmp_path, name):
    path = store_run(tmp_path) / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadResultFile, match=re.escape(name)):
        read_run(path.parent)


@pytest.mark.parametrize("name", ["run.json", "training+tiny+r8.json"])
def test_a_schema_from_the_future_is_refused(tmp_path, name):
    path = store_run(tmp_path) / name
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(BadResultFile, match=rf"{re.escape(name)}: schema 99; this version reads .*Update tunebench"):
        read_run(path.parent)


def test_a_value_that_no_measurement_can_have_is_refused_with_its_place(tmp_path):
    path = store_run(tmp_path) / "training+tiny+r8.json"
    path.write_text(path.read_text().replace('"status": "ok"', '"status": "failed"'))
    with pytest.raises(BadResultFile, match=r"training\+tiny\+r8\.json: .*a record has a reason if, and only if"):
        read_run(path.parent)


def test_what_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(BadResultFile, match=r"none\.json: .*No such file"):
        read_run(tmp_path / "none.json")
    with pytest.raises(BadResultFile, match=r"run\.json: .*No such file"):
        read_run(tmp_path)


def test_two_records_of_one_case_are_refused(tmp_path):
    directory = store_run(tmp_path)
    shutil.copy(directory / "training+tiny+r8.json", directory / "copy.json")
    with pytest.raises(BadResultFile, match=r"training\+tiny\+r8\.json: a second record of training/tiny/r8; keep one"):
        read_run(directory)


# --- what is written ---


def test_a_first_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_write.os, "fsync", no_room)
    with pytest.raises(Unwritable):
        write_run(tmp_path / "r1", run(), None)
    assert list((tmp_path / "r1").iterdir()) == []


def test_what_is_half_written_does_not_bear_the_name_of_a_result(tmp_path, monkeypatch):
    """A process that dies in the middle of a write leaves what no reader takes for a result."""
    directory = store_run(tmp_path)
    names = []

    def look(_):
        names.extend(path.name for path in directory.iterdir())

    monkeypatch.setattr(atomic_write.os, "fsync", look)
    write_record(directory, "r1", record("training/tiny/r16"))
    partial = set(names) - {"run.json", "training+tiny+r8.json"}
    assert len(partial) == 1
    (directory / partial.pop()).write_text("{")
    assert cases_of(read_run(directory)) == ["training/tiny/r16", "training/tiny/r8"]
    assert find_runs(tmp_path).problems == ()


@pytest.mark.parametrize("deeper", [".", "more"])
def test_a_place_that_cannot_be_made_is_refused_by_name(tmp_path, deeper):
    (tmp_path / "results").write_text("a file in place of a directory")
    directory = tmp_path / "results" / deeper
    with pytest.raises(Unwritable, match=r"results/.*run\.json"):
        write_run(directory, run(), None)
    with pytest.raises(Unwritable, match=r"results/.*training\+tiny\+r8\.json"):
        write_record(directory, "r1", record())
    assert (tmp_path / "results").read_text() == "a file in place of a directory"


# --- what lies in a results directory ---


def test_runs_are_found_oldest_first(tmp_path):
    store_run(tmp_path, "a", started_at="2026-03-01T00:00:00Z")
    store_run(tmp_path, "c", started_at="2026-01-01T00:00:00Z")
    store_run(tmp_path, "b", started_at="2026-01-01T00:00:00Z")
    stored = find_runs(tmp_path)
    assert [bundle.run.id for bundle in stored.runs] == ["b", "c", "a"]
    assert stored.problems == ()


def test_a_found_run_is_the_one_that_is_read(tmp_path):
    directory = store_run(tmp_path, cases=("training/tiny/r8", "evaluation/tiny/base"))
    assert find_runs(tmp_path).runs == (read_run(directory),)


def test_a_record_that_cannot_be_read_is_named_and_the_rest_is_kept(tmp_path):
    directory = store_run(tmp_path, cases=("training/tiny/r8", "evaluation/tiny/r8"))
    (directory / "training+tiny+r8.json").write_text("{")
    stored = find_runs(tmp_path)
    assert [cases_of(bundle) for bundle in stored.runs] == [["evaluation/tiny/r8"]]
    assert [problem.partition(":")[0] for problem in stored.problems] == [str(directory / "training+tiny+r8.json")]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"datetime": "today"}'])
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_kept(tmp_path, content):
    store_run(tmp_path, "good")
    bad = store_run(tmp_path, "bad") / "run.json"
    bad.write_text(content)
    stored = find_runs(tmp_path)
    assert [bundle.run.id for bundle in stored.runs] == ["good"]
    assert [problem.partition(":")[0] for problem in stored.problems] == [str(bad)]


def test_a_run_from_the_future_is_named_and_skipped(tmp_path):
    path = store_run(tmp_path) / "run.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))
    stored = find_runs(tmp_path)
    assert stored.runs == ()
    assert len(stored.problems) == 1
    assert "schema 99" in stored.problems[0]


def test_what_is_not_a_run_is_passed_over(tmp_path):
    (tmp_path / "published").mkdir()
    (tmp_path / "report.json").write_text("{")
    assert find_runs(tmp_path) == store.StoredRuns()
    assert find_runs(tmp_path / "none") == store.StoredRuns()


def test_a_record_of_another_run_is_refused_and_named(tmp_path):
    directory = store_run(tmp_path)
    path = directory / "training+tiny+r8.json"
    path.write_text(re.sub(r'"run_id": "[^"]*"', '"run_id": "elsewhere"', path.read_text()))
    with pytest.raises(BadResultFile, match="of the run 'elsewhere'"):
        read_run(directory)


def test_dots_in_names_do_not_make_two_cases_one_file(tmp_path):
    names = {store.write_record(tmp_path, "r", record(case=case)).name for case in ("training/a.b/c", "training/a/b.c")}
    assert len(names) == 2


# --- what finished processes leave until their case has a record ---


def process_file(number, case="training/tiny/r8", **others):
    sample = Sample(key=key(), readings={"step_s": Readings(values=(float(number),))})
    return ProcessFile(
        schema=1, run_id="r1", case=case, number=number, identity={"code": "1"}, **{"sample": sample, **others}
    )


def test_what_processes_measured_waits_in_their_order(tmp_path):
    for number in (10, 2, 1):
        store.write_process(tmp_path, process_file(number))
    assert store.read_processes(tmp_path, "training/tiny/r8") == tuple(map(process_file, (1, 2, 10)))


def test_a_process_belongs_to_its_case_alone(tmp_path):
    store.write_process(tmp_path, process_file(1, "training/tiny/r8"))
    store.write_process(tmp_path, process_file(1, "training/tiny/r8-1"))
    assert [process.case for process in store.read_processes(tmp_path, "training/tiny/r8")] == ["training/tiny/r8"]
    assert [process.case for process in store.read_processes(tmp_path, "training/tiny/r8-1")] == ["training/tiny/r8-1"]


def test_a_torn_process_file_is_as_good_as_none(tmp_path):
    store.write_process(tmp_path, process_file(1))
    store.write_process(tmp_path, process_file(2))
    (tmp_path / "processes" / "training+tiny+r8-1.json").write_text('{"schema": 1')
    assert store.read_processes(tmp_path, "training/tiny/r8") == (process_file(2),)


def test_what_the_processes_of_one_case_left_can_be_dropped(tmp_path):
    store.write_process(tmp_path, process_file(1))
    store.write_process(tmp_path, process_file(1, "training/tiny/r16"))
    store.drop_processes(tmp_path, "training/tiny/r8")
    assert [path.name for path in (tmp_path / "processes").iterdir()] == ["training+tiny+r16-1.json"]


def test_unfinished_processes_are_no_records(tmp_path):
    directory = store_run(tmp_path)
    store.write_process(directory, process_file(1, "training/other/r8"))
    assert cases_of(read_run(directory)) == ["training/tiny/r8"]


# --- one session a run ---


def test_a_run_belongs_to_one_session_at_a_time(tmp_path):
    lock = store.claim(tmp_path / "r1")
    with pytest.raises(HarnessError, match="another session is measuring into this run; wait for it"):
        store.claim(tmp_path / "r1")
    lock.release()
    store.claim(tmp_path / "r1").release()


def test_two_runs_in_one_directory_do_not_get_in_each_other_s_way(tmp_path):
    first, second = store.claim(tmp_path / "r1"), store.claim(tmp_path / "r2")
    first.release()
    second.release()


def test_a_claim_on_a_place_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritable, match="file"):
        store.claim(tmp_path / "file" / "r1")


def test_the_head_of_a_run_is_read_though_a_record_is_torn(tmp_path):
    directory = store_run(tmp_path)
    (directory / "training+tiny+r8.json").write_text("{")
    assert store.read_head(directory).run.id == "r1"
    stored = store.salvage(directory)
    assert (cases_of(stored.runs[0]), len(stored.problems)) == ([], 1)
    assert "training+tiny+r8.json" in stored.problems[0]
