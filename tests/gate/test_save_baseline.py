import errno
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from filelock import FileLock

from harness.errors import BadConfig, BadResultFile, HarnessError, NotABaseline, UnknownName, Unwritable
from harness.gate import save_baseline
from harness.gate.save_baseline import save
from harness.results import atomic_write, baselines, codec, store
from harness.results.baselines import Replaced, Saved, find, kept, names, read
from tests.gate.test_baseline_rules import noisy, steady
from tests.support.samples import bundle, failed, full_record, record


def files(results_dir):
    return sorted(str(path.relative_to(results_dir)) for path in results_dir.rglob("*") if path.is_file())


def of(results_dir, name="default"):
    return baselines.directory(results_dir, name)


def test_a_saved_run_is_a_bundle_that_reads_back(tmp_path):
    run_bundle = bundle(full_record(), id="r1")
    line = save(run_bundle, "default", "first", tmp_path)
    path = find(tmp_path, "default")
    assert path == tmp_path / "baseline" / "default" / "0001.json"
    assert store.read_run(path).run == run_bundle.run
    assert store.read_run(path).records[0].metrics == run_bundle.records[0].metrics
    assert line == kept(of(tmp_path))[0]
    assert path.read_bytes().count(b"\n") == 1  # compact


def test_the_history_says_which_run_when_why_and_with_what(tmp_path):
    line = save(steady(100.0, id="r1"), "default", "  the first ", tmp_path)
    assert (line.number, line.run, line.reason, line.replaced, line.verdict) == (1, "r1", "the first", None, None)
    assert line.git == {"commit": "0123456789abcdef", "dirty": False}
    assert line.versions == {"mlx-lm": None, "mlx": "0.31.0"}
    assert line.saved_at.endswith("Z")


def test_a_second_save_replaces_the_first_which_stays(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    line = save(steady(200.0, id="r2"), "default", "faster", tmp_path)
    assert (line.replaced, line.verdict, line.accepted) == (Replaced(number=1, run="r1"), "improved", ())
    assert store.read_run(find(tmp_path, "default")).run.id == "r2"
    assert store.read_run(find(tmp_path, "default@1")).run.id == "r1"
    assert [one.reason for one in kept(of(tmp_path))] == ["first", "faster"]


def test_names_do_not_touch_each_other(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    assert save(steady(50.0, id="r2"), "slow", "another machine", tmp_path).replaced is None
    assert names(tmp_path) == ["default", "slow"]
    assert store.read_run(find(tmp_path, "default")).run.id == "r1"


def test_a_regression_is_refused_and_nothing_is_written(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    with pytest.raises(NotABaseline, match=r"r2 does not become the baseline 'default'.*r1") as refusal:
        save(steady(50.0, id="r2"), "default", "slower", tmp_path)
    assert "decode_tokens_per_s" in str(refusal.value)
    assert str(refusal.value).endswith("--accept-regression; the history says so")
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_an_accepted_regression_stays_in_the_history(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    save(steady(50.0, id="r2"), "default", "the safe kernel", tmp_path, accept=True)
    line = kept(of(tmp_path))[-1]
    assert line.verdict == "regression"
    assert len(line.accepted) == 1
    assert "decode_tokens_per_s" in line.accepted[0]


def test_what_cannot_be_judged_and_looks_worse_is_refused_like_a_regression(tmp_path):
    """Or noise would lower the baseline save by save."""
    save(noisy(100.0, id="r1"), "default", "first", tmp_path)
    before = files(tmp_path)
    with pytest.raises(NotABaseline, match=r"against number 1, run r1 \(inconclusive\), and looks worse") as refusal:
        save(noisy(80.0, id="r2"), "default", "again", tmp_path)
    assert "inference/tiny/base decode_tokens_per_s: 20.0 % fewer token/s" in str(refusal.value)
    assert "--accept-regression" in str(refusal.value)
    assert files(tmp_path) == before
    line = save(noisy(80.0, id="r2"), "default", "again", tmp_path, accept=True)
    assert kept(of(tmp_path))[-1] == line
    assert (line.verdict, line.accepted) == ("inconclusive", (line.worst,))


def test_what_cannot_be_judged_and_looks_no_worse_is_taken_with_the_worst_change_in_its_line(tmp_path):
    save(noisy(100.0, id="r1"), "default", "first", tmp_path)
    line = save(noisy(98.0, id="r2"), "default", "again", tmp_path)
    assert (line.verdict, line.accepted) == ("inconclusive", ())
    assert line.worst.startswith("inference/tiny/base decode_tokens_per_s: 2.0 % fewer token/s [")


def test_the_run_that_is_the_baseline_already_is_refused_until_it_was_gone_on_with(tmp_path):
    run_bundle = steady(100.0, id="r1")
    save(run_bundle, "default", "first", tmp_path)
    before = files(tmp_path)
    with pytest.raises(NotABaseline, match="it is that already, number 1; nothing was written"):
        save(run_bundle, "default", "again", tmp_path, accept=True)
    assert files(tmp_path) == before
    assert save(steady(100.0, id="r1", finished_at="2026-02-01T00:00:00Z"), "default", "more", tmp_path).number == 2
    assert save(run_bundle, "other", "first", tmp_path).number == 1


def test_what_a_later_baseline_does_not_hold_is_in_its_line(tmp_path):
    save(bundle(record(), record("inference/tiny/r8"), id="r1"), "default", "two", tmp_path)
    line = save(bundle(record(), id="r2"), "default", "one", tmp_path)
    assert line.dropped == ("inference/tiny/r8",)


def test_a_run_with_a_failed_case_is_refused(tmp_path):
    with pytest.raises(NotABaseline, match="inference/tiny/r8: failed: it broke"):
        save(bundle(record(), failed("inference/tiny/r8")), "default", "why not", tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize("reason", ["", " \n"])
def test_an_empty_reason_is_wrong_usage(tmp_path, reason):
    with pytest.raises(BadConfig, match="--reason: 1 problem\n  it is empty"):
        save(steady(100.0), "default", reason, tmp_path)


@pytest.mark.parametrize("name", ["", "../out", "a/b", "latest", "published", "a@1", ".hidden"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(BadConfig, match="--name"):
        save(steady(100.0), name, "first", tmp_path)
    assert files(tmp_path) == []


def test_a_deleted_file_is_pruned_and_its_number_not_used_again(tmp_path):
    for number, rate in enumerate([100.0, 110.0, 120.0], start=1):
        save(steady(rate, id=f"r{number}"), "default", "faster", tmp_path)
    (of(tmp_path) / "0001.json").unlink()
    assert [one.number for one in kept(of(tmp_path))] == [2, 3]
    (of(tmp_path) / "0003.json").unlink()
    assert store.read_run(find(tmp_path, "default")).run.id == "r2"
    assert save(steady(130.0, id="r4"), "default", "again", tmp_path).number == 4
    with pytest.raises(UnknownName, match=r"unknown number of the baseline 'default' '1'\..*Known: 2, 4"):
        find(tmp_path, "default@1")


def test_a_name_whose_files_are_all_gone_names_no_baseline(tmp_path):
    save(steady(100.0), "default", "first", tmp_path)
    (of(tmp_path) / "0001.json").unlink()
    with pytest.raises(UnknownName, match="Known: none"):
        find(tmp_path, "default")
    assert read(tmp_path) == ([], [])


def test_there_is_no_baseline_of_a_name_nobody_saved(tmp_path):
    assert find(tmp_path, "default") is None
    assert names(tmp_path) == []


def test_a_file_without_a_line_is_no_baseline(tmp_path):
    """A save that was killed between the two left it."""
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    (of(tmp_path) / "0002.json").write_bytes(codec.encode(steady(1.0, id="lost")))
    assert store.read_run(find(tmp_path, "default")).run.id == "r1"
    assert save(steady(100.0, id="r3"), "default", "third", tmp_path).number == 3


@pytest.mark.parametrize("torn", [b'{"schema":1,"num', b"<<<<<<< HEAD", b"{}", b"\xff"])
def test_a_torn_line_hides_no_baseline_behind_an_earlier_one(tmp_path, torn):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    with (of(tmp_path) / "history.jsonl").open("ab") as stream:
        stream.write(torn)
    with pytest.raises(BadResultFile, match=r"history\.jsonl, line 2: .*restore the file"):
        find(tmp_path, "default")
    with pytest.raises(BadResultFile):
        save(steady(100.0, id="r2"), "default", "second", tmp_path)
    shelves, problems = read(tmp_path)
    assert shelves == []
    assert len(problems) == 1


def test_a_history_of_a_version_to_come_is_refused(tmp_path):
    line = save(steady(100.0), "default", "first", tmp_path)
    text = codec.encode(line).replace(b'"schema":1', b'"schema":2')
    (of(tmp_path) / "history.jsonl").write_bytes(text)
    with pytest.raises(BadResultFile, match="schema 2; this version reads 1"):
        kept(of(tmp_path))


def test_a_history_without_its_last_newline_is_gone_on_with(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    history = of(tmp_path) / "history.jsonl"
    history.write_bytes(history.read_bytes().rstrip())
    save(steady(100.0, id="r2"), "default", "second", tmp_path)
    assert [one.run for one in kept(of(tmp_path))] == ["r1", "r2"]


def test_a_torn_baseline_is_not_replaced_unseen(tmp_path):
    save(steady(100.0, id="r1"), "default", "first", tmp_path)
    (of(tmp_path) / "0001.json").write_text("{")
    with pytest.raises(BadResultFile, match=r"0001\.json"):
        save(steady(50.0, id="r2"), "default", "second", tmp_path)
    assert [one.run for one in kept(of(tmp_path))] == ["r1"]


def test_saves_at_the_same_time_lose_none(tmp_path):
    def one(number):
        return save(steady(100.0, id=f"r{number}"), "default", "at once", tmp_path).number

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(8))) == list(range(1, 9))
    lines = kept(of(tmp_path))
    assert [line.number for line in lines] == list(range(1, 9))
    assert [line.replaced for line in lines[1:]] == [Replaced(number=line.number, run=line.run) for line in lines[:-1]]


def test_a_save_that_waits_in_vain_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(save_baseline, "_PATIENCE_S", 0)
    with FileLock(tmp_path / ".baseline.lock"), pytest.raises(HarnessError, match="another baseline"):
        save(steady(100.0), "default", "first", tmp_path)
    assert save(steady(100.0), "default", "first", tmp_path).number == 1


def test_a_save_that_cannot_write_its_line_leaves_no_file(tmp_path, monkeypatch):
    whole = atomic_write.write_bytes

    def no_room(path, data):
        if path.name == "history.jsonl":
            raise atomic_write.unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        whole(path, data)

    monkeypatch.setattr(atomic_write, "write_bytes", no_room)
    with pytest.raises(Unwritable, match="No space"):
        save(steady(100.0), "default", "first", tmp_path)
    assert files(tmp_path) == [".baseline.lock"] or files(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unwritable, match="file"):
        save(steady(100.0), "default", "first", tmp_path / "file" / "results")


def test_baselines_are_read_with_their_earlier_ones_counted(tmp_path):
    for number in (1, 2, 3):
        save(steady(100.0, id=f"r{number}"), "default", f"reason {number}", tmp_path)
    save(steady(100.0, id="other"), "torn", "reason", tmp_path)
    (of(tmp_path, "torn") / "0001.json").write_text("{")
    (shelf,), (problem,) = read(tmp_path)
    assert (shelf.name, shelf.bundle.run.id, shelf.earlier, shelf.saved.reason) == ("default", "r3", 2, "reason 3")
    assert "torn" in problem


def test_a_run_of_twenty_cases_and_ten_processes_stays_well_below_a_megabyte(tmp_path):
    """Readings as of an inference case: five metrics of five scenarios with six readings each."""
    from tests.support.samples import measured, output  # noqa: PLC0415

    labels = tuple(f"scenario{place % 5}" for place in range(30))
    process = tuple(123.456789012345 + place for place in range(30))
    metric = partial(measured, labels=labels)
    many = {name: metric(name, *[process] * 10) for name in ("ttft_s", "response_s", "decode_tokens_per_s", "tpot_s")}
    texts = tuple(output(prompt_id=f"p{place}", text="word " * 40) for place in range(25))
    cases = [record(f"inference/m{place}/base", metrics=many, outputs=texts) for place in range(20)]
    save(bundle(*cases), "default", "large", tmp_path)
    assert find(tmp_path, "default").stat().st_size < 700_000


def test_a_line_names_its_file():
    line = Saved(schema=1, number=12, run="r", saved_at="", reason="x", git=None, versions={})
    assert line.file == "0012.json"
