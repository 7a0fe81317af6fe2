import csv
import io
import sys

import pyarrow.parquet as pq
import pytest

from harness.errors import HarnessError, UnknownName
from harness.report.export.export import export
from harness.results import codec
from harness.results.records import Bundle
from tests.support.samples import bundle, failed, full_record, key, measured, record


def lines(run):
    return list(csv.DictReader(io.StringIO(export(run, "csv").decode())))


def test_the_bundle_reads_back_as_what_it_was():
    run = bundle(full_record(), failed("inference/tiny/r8"))
    assert codec.decode(export(run, "json"), Bundle) == run


def test_every_reading_is_a_line_with_its_process_and_place():
    measured_record = record(
        metrics={"ttft_s": measured("ttft_s", (0.5, 2.0, 0.75), (1.0, 4.0, 1.5), labels=("a", "b", "a"))}
    )
    cells = [
        (line["label"], line["process"], line["reading"], line["value"]) for line in lines(bundle(measured_record))
    ]
    assert cells == [
        ("a", "1", "1", "0.5"),
        ("a", "1", "2", "0.75"),
        ("a", "2", "1", "1.0"),
        ("a", "2", "2", "1.5"),
        ("b", "1", "1", "2.0"),
        ("b", "2", "1", "4.0"),
    ]
    (first, *_) = lines(bundle(measured_record))
    assert (first["metric"], first["unit"], first["better"], first["kind"]) == ("ttft_s", "s", "lower", "timing")
    assert (first["model"], first["weights"], first["device"]) == ("tiny", "hub", "gpu: One")


def test_what_was_not_measured_has_a_reason_and_no_number():
    (line,) = lines(bundle(record(metrics={"ttft_s": measured("ttft_s", reason="no clock")})))
    assert (line["process"], line["value"]) == ("", "not measured: no clock")


def test_a_case_without_figures_is_a_line_of_its_own():
    (line,) = lines(bundle(failed(reason="it broke")))
    assert (line["status"], line["reason"], line["metric"], line["value"]) == ("failed", "it broke", "", "")


FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1+1")


@pytest.mark.parametrize("word", FORMULAS)
def test_no_text_is_a_formula(word):
    """In every field a user or a model can put text into."""
    odd_record = record(
        key=key(model=word, device=word), metrics={"ttft_s": measured("ttft_s", (-0.5,), labels=(word,))}
    )
    lost = failed("inference/x/y", reason=word)
    made = lines(bundle(odd_record, lost, id=word))
    cells = [cell for line in made for name, cell in line.items() if name != "value"]
    assert f"'{word}" in cells
    assert not any(cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝")) for cell in cells)


def test_a_negative_number_stays_a_number():
    (line,) = lines(bundle(record(metrics={"overfit_gap": measured("overfit_gap", -0.5)})))
    assert float(line["value"]) == -0.5


def test_an_unknown_format_is_refused_with_those_that_are_known():
    with pytest.raises(UnknownName, match=r"unknown export format 'xls'. Known: csv, .*, parquet, pytest-benchmark\."):
        export(bundle(), "xls")


def test_other_tools_forms_are_exported():
    run = bundle(record(metrics={"ttft_s": measured("ttft_s", 0.5), "mfu": measured("mfu", 0.25)}))
    assert '"fullname": "inference/tiny/base::ttft_s"' in export(run, "pytest-benchmark").decode()
    assert '"name": "inference/tiny/base ttft_s"' in export(run, "github-action-benchmark").decode()
    assert '"name": "inference/tiny/base mfu"' in export(run, "github-action-benchmark", better="higher").decode()


def test_a_direction_is_refused_where_it_would_do_nothing():
    with pytest.raises(HarnessError, match="--better higher is an option of --format github-action-benchmark"):
        export(bundle(), "json", better="higher")


def test_parquet_holds_the_same_lines_with_numbers_as_numbers():
    full = record(
        metrics={
            "ttft_s": measured("ttft_s", (0.5, 2.0), labels=("=a", "b")),
            "load_s": measured("load_s", reason="no clock"),
        }
    )
    made = export(bundle(full, failed("inference/x/y", reason="it broke")), "parquet")
    rows = pq.read_table(io.BytesIO(made)).to_pylist()
    columns = ("case", "reason", "metric", "label", "process", "reading", "value", "not_measured")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("inference/tiny/base", None, "ttft_s", "=a", 1, 1, 0.5, None),
        ("inference/tiny/base", None, "ttft_s", "b", 1, 1, 2.0, None),
        ("inference/tiny/base", None, "load_s", None, None, None, None, "not measured: no clock"),
        ("inference/x/y", "it broke", None, None, None, None, None, None),
    ]
    assert pq.read_table(io.BytesIO(export(bundle(), "parquet"))).num_rows == 0


def test_parquet_without_its_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HarnessError, match=r"Parquet needs pyarrow: pip install 'tunebench\[datasets\]'"):
        export(bundle(), "parquet")
