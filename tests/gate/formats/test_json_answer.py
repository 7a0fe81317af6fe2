import json
from dataclasses import fields

from jsonschema import Draft202012Validator

from harness.gate.formats import json_answer
from harness.gate.formats.json_answer import FiledRow, GateFile, as_json, filed
from harness.gate.verdicts import GateRow, GateVerdict, Origin
from harness.results import codec
from harness.results.records import Better
from tests.support.gate_samples import EVIL, every_kind, interval, result, row, unmeasured

MAY_BE_NULL = {
    *("label", "kind", "ignored", "unit", "better", "baseline", "candidate", "ratio", "change", "change_low"),
    *("change_high", "tolerance", "detectable", "processes", "more"),
}


def test_the_file_says_everything_a_program_needs():
    answer = json.loads(as_json(every_kind()))
    assert {name: answer[name] for name in answer if name not in {"rows", "tunebench"}} == {
        "schema": 1,
        "verdict": "regression",
        "exit_code": 1,
        "baseline": "run-a",
        "candidate": "run-b",
        "design": "a stored baseline",
        "policy": "default",
        "origins": None,
        "change_is": (
            "of the cost, relative: above 0 is worse, whichever way the metric gets better; ratio is of the metric"
        ),
        "warnings": ["the baseline is 40 days old"],
        "counts": {
            "regression": 1,
            "invalid": 1,
            "missing": 1,
            "not-comparable": 1,
            "inconclusive": 1,
            "improved": 1,
            "pass": 1,
        },
        "ignored": 1,
    }
    assert answer["rows"][6] == {
        "case": "inference/tiny/base",
        "metric": "step_s",
        "label": "late",
        "kind": "timing",
        "verdict": "regression",
        "role": "required",
        "reason": "ratio 1.250 [1.125, 1.500]; said by hand",
        "ignored": None,
        "unit": "s",
        "better": "lower",
        "baseline": 0.5,
        "candidate": 0.625,
        "ratio": {"low": 1.125, "point": 1.25, "high": 1.5, "confidence": 0.95, "method": "by hand"},
        "change": 0.25,
        "change_low": 0.125,
        "change_high": 0.5,
        "tolerance": 0.03,
        "detectable": 0.04,
        "processes": [6, 6],
        "more": None,
    }


def test_a_rate_s_change_is_of_its_cost_with_the_bounds_in_order():
    json_row = filed(result(row(better=Better.HIGHER, ratio=interval(0.5, 0.8, 1.0)))).rows[0]
    assert (json_row.change_low, json_row.change, json_row.change_high) == (0.0, 0.25, 1.0)


def test_the_file_holds_every_field_of_a_row():
    told_by_reason = {"differing", "confirmed_by", "suspicion"}
    row_fields = {field.name for field in fields(GateRow)}
    assert told_by_reason <= row_fields
    assert row_fields - told_by_reason <= {field.name for field in fields(FiledRow)}


def test_only_what_may_be_unknown_is_ever_null():
    answer = json.loads(as_json(result(unmeasured(GateVerdict.INVALID, ""))))["rows"][0]
    assert {name for name, value in answer.items() if value is None} == MAY_BE_NULL


def test_what_is_written_reads_back_and_holds_to_its_schema():
    outcome = result(*every_kind().rows, unmeasured(metric=EVIL.encode(errors="replace").decode()), warnings=("a", "b"))
    text = as_json(outcome)
    assert codec.decode(text, GateFile) == filed(outcome)
    schema = codec.json_schema([GateFile])
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(text, parse_constant=lambda constant: 1 / 0))
    assert json_answer.SCHEMA == 1


def test_where_both_sides_come_from_is_in_the_file():
    a, b = (Origin(run=value, started_at="2026-11-01", commit="abc1234", number=3) for value in ("run-a", "run-b"))
    text = as_json(result(origins=(a, b)))
    assert json.loads(text)["origins"][1]["run"] == "run-b"
    assert codec.decode(text, GateFile).origins == (a, b)
