"""The figures of the reference reports are what those reports print, and their claims are checked against them."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from harness.analysis.claims.check import CHECKS, check
from harness.results import run_files, store
from harness.results.metrics import DEFINITIONS

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "published"
FILES = {path.stem: path for path in sorted(PUBLISHED.glob("*.json"))}
BUNDLES = {name: store.read_run(path) for name, path in FILES.items()}


def record_of(name, case):
    (match,) = (record for record in BUNDLES[name].records if record.case == case)
    return match


def printed(name, case, metric, label=None):
    """Return the readings of a metric in one record, or of one of its labels: a number, or a list of several."""
    measured = record_of(name, case).metrics[metric]
    values = [value for samples in measured.parts()[label] for value in samples]
    return values[0] if len(values) == 1 else values


def point(name, case, series, x):
    course = record_of(name, case).series[series]
    return course.y[course.x.index(x)]


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_valid_and_says_where_it_comes_from(name):
    schema = json.loads((ROOT / "harness" / "schema.json").read_text(encoding="utf-8"))
    content = json.loads(FILES[name].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator({"$ref": "#/$defs/Bundle", "$defs": schema["$defs"]}).validate(content)
    run = BUNDLES[name].run
    assert (run.id, run.profile, run.git, run.command) == (name, "published", None, ())
    assert run.published.source.startswith(f"{name}_")


@pytest.mark.parametrize("name", FILES)
def test_a_published_metric_is_one_of_the_registry(name):
    for record in BUNDLES[name].records:
        for metric, measured in record.metrics.items():
            definition = DEFINITIONS[metric]
            assert (measured.unit, measured.better, measured.kind) == (
                definition.unit,
                definition.better,
                definition.kind,
            ), metric


@pytest.mark.parametrize("name", FILES)
def test_a_published_record_claims_nothing_of_how_it_was_measured(name):
    for record in BUNDLES[name].records:
        assert (record.wall_s, record.identity, record.data) == (None, {}, None)
        assert record.key.weights.sha256 == "unknown"
        assert record.key.tokenizer == f"unknown:{record.key.model}"  # so no two models' losses ever compare
        assert {output.finish_reason for output in record.outputs} <= {"unknown"}


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_formatted_as_the_program_writes_it(name, tmp_path):
    copy = tmp_path / "copy.json"
    run_files.write(copy, BUNDLES[name])
    assert copy.read_bytes() == FILES[name].read_bytes()


S2 = ("S2", "training/qwen/s2")


@pytest.mark.parametrize(
    ("metric", "label", "value"),
    [
        ("train_loss_first", None, 2.972),  # line 22
        ("train_loss_final", None, 0.090),
        ("val_loss_final", None, 0.167),
        ("train_iterations", None, 15_000),  # line 27
        ("train_steps_per_s", "average", 0.85),
        ("train_steps_per_s", "lowest", 0.7),  # line 131
        ("train_steps_per_s", "highest", 0.9),
        ("train_tokens_per_s", None, 180),
        ("peak_active_bytes", "train", 4.174e9),  # line 31
        ("train_wall_s", None, 30_000),  # line 94
        ("trainable_parameters", None, 9_232_000),  # line 104
        ("total_parameters", None, 1_543_714_000),
        ("adapter_bytes", "each checkpoint", 37e6),  # line 175
        ("adapter_bytes", "all 30 checkpoints", 1.1e9),
    ],
)
def test_a_number_of_s2_is_as_printed(metric, label, value):
    assert printed(*S2, metric, label) == value


@pytest.mark.parametrize(
    ("series", "x", "y"),
    [
        ("train_loss", 0, 2.972),  # line 200
        ("train_loss", 1000, 7.425),
        ("train_loss", 14_420, 0.078),  # line 26
        ("train_loss", 15_000, 0.090),
        ("val_loss", 1000, 8.685),
        ("val_loss", 10_000, 0.165),
        ("tokens_seen", 500, 110_000),
        ("tokens_seen", 15_000, 3_220_000),
        ("peak_bytes", 0, 4.060e9),
        ("peak_bytes", 500, 4.136e9),
        ("peak_bytes", 15_000, 4.174e9),
    ],
)
def test_a_row_of_s2_s_table_is_as_printed(series, x, y):
    assert point(*S2, series, x) == y


def test_s2_s_table_has_its_eleven_rows():
    series = record_of(*S2).series
    assert [len(series[name].x) for name in ("train_loss", "val_loss", "tokens_seen", "peak_bytes")] == [12, 11, 11, 11]


OTHERS = [
    # S3: lines 94-99, 104-115, 9, 168-170
    ("S3", "training/tinyllama/s3", "train_wall_s", None, 10.6),
    ("S3", "training/tinyllama/s3", "train_tokens_per_s", "lowest", 850),
    ("S3", "training/tinyllama/s3", "train_tokens_per_s", "highest", 1000),
    ("S3", "training/tinyllama/s3", "peak_active_bytes", "train", 2.895e9),
    ("S3", "training/tinyllama/s3", "train_loss_first", None, 1.960),
    ("S3", "training/tinyllama/s3", "train_loss_final", None, 0.355),
    ("S3", "training/tinyllama/s3", "val_loss_first", None, 2.813),
    ("S3", "training/tinyllama/s3", "val_loss_final", None, 0.822),
    ("S3", "training/tinyllama/s3", "trainable_parameters", None, 819_000),
    ("S3", "training/tinyllama/s3", "total_parameters", None, 1.1e9),
    ("S3", "evaluation/tinyllama/base", "response_words", None, 100),
    ("S3", "evaluation/tinyllama/s3", "response_words", None, [15, 20]),
    ("S3", "inference/tinyllama/base", "response_s", "lowest", 0.74),
    ("S3", "inference/tinyllama/base", "response_s", "highest", 0.87),
    ("S3", "inference/tinyllama/s3", "response_s", "lowest", 0.26),
    ("S3", "inference/tinyllama/s3", "response_s", "highest", 0.46),
    # S0: lines 43-48, 54-55, 80-81, 130-134, 166-176
    ("S0", "training/tinyllama/s0", "val_loss_first", None, 2.652),
    ("S0", "training/qwen/s0", "val_loss_first", None, 3.919),
    ("S0", "training/tinyllama/s0", "val_loss_best", None, 1.076),
    ("S0", "training/qwen/s0", "val_loss_best", None, 1.618),
    ("S0", "training/tinyllama/s0", "val_loss_final", None, 1.154),
    ("S0", "training/qwen/s0", "val_loss_final", None, 1.657),
    ("S0", "training/tinyllama/s0", "train_loss_final", None, 0.315),
    ("S0", "training/qwen/s0", "train_loss_final", None, 0.504),
    ("S0", "training/tinyllama/s0", "train_wall_s", None, 12.4),
    ("S0", "training/qwen/s0", "train_wall_s", None, 15.0),
    ("S0", "training/tinyllama/s0", "peak_active_bytes", "train", 2354e6),
    ("S0", "training/qwen/s0", "peak_active_bytes", "train", 3294e6),
    ("S0", "training/tinyllama/s0", "peak_active_bytes", "load", 2000e6),
    ("S0", "training/qwen/s0", "peak_active_bytes", "load", 2800e6),
    ("S0", "training/tinyllama/s0", "trainable_parameters", None, 819_000),
    ("S0", "training/qwen/s0", "trainable_parameters", None, 623_000),
    ("S0", "training/tinyllama/s0", "train_tokens_per_s", "highest", 1800),
    ("S0", "training/qwen/s0", "train_tokens_per_s", "lowest", 500),
    ("S0", "training/tinyllama/s0", "train_steps_per_s", "lowest", 6),
    ("S0", "training/qwen/s0", "train_steps_per_s", "highest", 9),
    ("S0", "evaluation/tinyllama/s0", "test_loss", None, 1.362),
    ("S0", "evaluation/tinyllama/s0", "test_perplexity", None, 3.90),
    ("S0", "evaluation/qwen/s0", "test_loss", None, 1.899),
    ("S0", "evaluation/qwen/s0", "test_perplexity", None, 6.68),
    ("S0", "evaluation/tinyllama/s0", "rating", "quote format adherence", 6),
    ("S0", "evaluation/tinyllama/s0", "rating", "coherence", 5),
    ("S0", "evaluation/tinyllama/s0", "rating", "overall quality", 5.5),
    ("S0", "evaluation/qwen/s0", "rating", "creativity", 8),
    ("S0", "evaluation/qwen/s0", "rating", "overall quality", 8.5),
    # S1: lines 51-53, 60-72, 125-131, 151-152, 231
    ("S1", "inference/tinyllama/base", "load_s", None, 0.20),
    ("S1", "inference/qwen/base", "load_s", None, 0.47),
    ("S1", "inference/tinyllama/base", "disk_bytes", None, 2.0e9),
    ("S1", "inference/qwen/base", "disk_bytes", None, 2.89e9),
    ("S1", "inference/tinyllama/base", "peak_active_bytes", "generate", 2.27e9),
    ("S1", "inference/qwen/base", "peak_active_bytes", "generate", 3.2e9),
    ("S1", "inference/tinyllama/base", "decode_tokens_per_s", "short", 156),
    ("S1", "inference/qwen/base", "decode_tokens_per_s", "short", 66.2),
    ("S1", "inference/tinyllama/base", "decode_tokens_per_s", "medium", [140, 150]),
    ("S1", "inference/qwen/base", "decode_tokens_per_s", "medium", 65.3),
    ("S1", "inference/tinyllama/base", "decode_tokens_per_s", "long", [130, 140]),
    ("S1", "inference/qwen/base", "decode_tokens_per_s", "long", 66.9),
    ("S1", "inference/tinyllama/base", "decode_tokens_per_s", "code", [120, 130]),
    ("S1", "inference/qwen/base", "decode_tokens_per_s", "code", 57.7),
    ("S1", "inference/tinyllama/base", "decode_tokens_per_s", "creative", [110, 120]),
    ("S1", "inference/qwen/base", "decode_tokens_per_s", "creative", 64.0),
    ("S1", "inference/tinyllama/base", "summary_decode_tokens_per_s", "average", 135),
    ("S1", "inference/qwen/base", "summary_decode_tokens_per_s", "peak", 66.9),
    ("S1", "inference/qwen/base", "summary_decode_tokens_per_s", "sustained", [64, 66]),
    ("S1", "inference/tinyllama/base", "response_s", None, 0.8),
    ("S1", "inference/qwen/base", "response_s", None, 1.96),
    ("S1", "inference/tinyllama/base", "ttft_s", None, 0.150),
    ("S1", "inference/qwen/base", "ttft_s", None, 0.200),
    ("S1", "inference/qwen/base", "cpu_percent", "peak", 65),
    ("S1", "evaluation/tinyllama/base", "rating", "technical accuracy", 7.5),
    ("S1", "evaluation/tinyllama/base", "rating", "overall quality", 7.8),
    ("S1", "evaluation/qwen/base", "rating", "instruction following", 9.5),
    ("S1", "evaluation/qwen/base", "rating", "code quality", 8.0),
    # S4: lines 79-87, 103, 114
    ("S4", "inference/gpt2/s4", "response_s", "mean", 0.231),
    ("S4", "inference/gpt2/s4", "response_s", "median", 0.224),
    ("S4", "inference/tinyllama/s4", "response_s", "mean", 0.384),
    ("S4", "inference/tinyllama/s4", "response_s", "median", 0.376),
    ("S4", "inference/gpt2/s4", "total_parameters", None, 124e6),
    ("S4", "inference/tinyllama/s4", "total_parameters", None, 1.1e9),
    ("S4", "evaluation/gpt2/s4", "response_words", "mean", 42.3),
    ("S4", "evaluation/tinyllama/s4", "response_words", "mean", 58.1),
    ("S4", "evaluation/gpt2/s4", "rating", "coherence", 3.7),
    ("S4", "evaluation/gpt2/s4", "rating", "relevance", 3.8),
    ("S4", "evaluation/tinyllama/s4", "rating", "coherence", 4.1),
    ("S4", "evaluation/tinyllama/s4", "rating", "relevance", 4.2),
]


@pytest.mark.parametrize(("name", "case_id", "metric", "label", "value"), OTHERS)
def test_a_number_of_another_report_is_as_printed(name, case_id, metric, label, value):
    assert printed(name, case_id, metric, label) == value


def test_s3_s_progression_is_as_printed():
    series = record_of("S3", "training/tinyllama/s3").series
    assert series["train_loss"].x == series["train_tokens_per_s"].x == tuple(range(5, 51, 5))
    assert series["train_loss"].y == (1.960, 0.935, 0.577, 0.605, 1.080, 0.787, 0.658, 0.591, 0.549, 0.355)
    assert series["train_tokens_per_s"].y == (136.8, 996.2, 822.9, 880.3, 959.9, 860.4, 811.8, 853.3, 922.1, 849.1)
    assert (series["val_loss"].x, series["val_loss"].y) == ((1, 20, 40, 50), (2.813, 0.751, 0.775, 0.822))
    assert (series["tokens_seen"].x, series["tokens_seen"].y) == ((50,), (4462,))


@pytest.mark.parametrize(
    ("model", "train", "val"),
    [
        ("tinyllama", (1.465, 0.600, 0.315), (2.652, 1.143, 1.076, 1.154)),
        ("qwen", (2.803, 1.398, 0.504), (3.919, 1.712, 1.618, 1.657)),
    ],
)
def test_s0_s_losses_along_the_way_have_no_iterations(model, train, val):
    series = record_of("S0", f"training/{model}/s0").series
    assert {course.x_unit for course in series.values()} == {"place in the printed row"}
    assert (series["train_loss_points"].y, series["val_loss_points"].y) == (train, val)


SETTINGS = [
    ("S0", "training/qwen/s0", {"rank": 16, "scale": 2.0, "layers": 8}, {"iters": 100, "batch_size": 2}),
    ("S2", "training/qwen/s2", {"rank": 32, "scale": 2.0, "dropout": 0.05}, {"grad_accumulation_steps": 32}),
    ("S3", "training/tinyllama/s3", {"rank": 8, "scale": 20.0, "dropout": 0.0}, {"iters": 50, "batch_size": 1}),
]


@pytest.mark.parametrize(("name", "case_id", "adapter", "settings"), SETTINGS)
def test_a_training_s_settings_are_as_printed(name, case_id, adapter, settings):
    key = record_of(name, case_id).key
    assert adapter.items() <= key.adapter.items()
    assert settings.items() <= key.settings.items()


def test_the_rows_of_the_data_are_as_printed():
    rows = {name: record_of(name, case).key.dataset["rows"] for name, case, *_ in SETTINGS}
    assert rows == {
        "S0": {"train": 80, "valid": 15, "test": 5},
        "S2": {"train": 422, "valid": 53, "test": 53},
        "S3": {"train": 40, "valid": 10},
    }


@pytest.mark.parametrize(
    ("name", "case_id", "prompts", "end"),
    [
        ("S0", "evaluation/tinyllama/s0", 2, "[coherent philosophical response]"),
        ("S0", "evaluation/qwen/s0", 2, "[well-structured, thoughtful response]"),
        ("S1", "evaluation/tinyllama/base", 0, ""),
        ("S1", "evaluation/qwen/base", 2, "return fibonacci(n-1) + fibonacci(n-2)"),
        ("S3", "evaluation/tinyllama/base", 2, '" - Unknown'),
        ("S3", "evaluation/tinyllama/s3", 2, '" - Abraham Lincoln'),
    ],
)
def test_answers_are_as_printed_and_a_description_is_none(name, case_id, prompts, end):
    outputs = record_of(name, case_id).outputs
    assert len(outputs) == prompts
    assert not outputs or outputs[-1].text.endswith(end)


def test_the_machines_are_those_named():
    names = {name: published.environment.device["name"] for name, published in BUNDLES.items()}
    assert names == {"S0": "Apple M3 Max", "S1": "Apple M3 Max", "S2": "Apple M2", "S3": "Apple M3 Max", "S4": None}
    dates = {name: published.run.published.date for name, published in BUNDLES.items()}
    assert dates == {"S0": None, "S1": "2025-06-20", "S2": "2025-12-07", "S3": "2025-06-20", "S4": "2025"}


# Every contradiction of the reference reports: report, place of the claim, rule, and what the finding must say.
ROWS = [
    ("S2", "S2:44", "R4", ["8.519", "7.425", "12.84 % less"]),
    ("S2", "S2:47", "R10", ["iteration 1,500", "2.136 against 0.15", "first returns to within 10 % of that at 5,000"]),
    ("S2", "S2:146", "R10", ["iteration 1,300", "at 1,500 it is 2.136"]),
    ("S2", "S2:147", "R3", ["lower", "0.15 at iteration 500 and 0.381 at 2,000: higher"]),
    ("S2", "S2:29-30, 94", "R14", ["8.333 h", "4.969 h", "107.3 tokens/s", "4.902 h", "0.5 iterations/s"]),
    ("S2", "S2:24, 60", "R13", ["0.167 at iteration 15,000", "0.167 at 500", "0.165 at 10,000"]),
    ("S2", "S2:28", "R16", ["142.2 passes over the 422 rows"]),
    ("S2", "S2:76", "R20", ["53 rows", "no result on them is printed"]),
    ("S2", "S2:104, 107", "R16", ["36,929,536", "4 times", "rank 8 on 28 layers or rank 32 on 7 layers"]),
    ("S2", "S2:87", "R15", ["running maximum"]),
    ("S2", "S2:95", "R15", ["Neural Engine", "no record of the report measures it"]),
    ("S3", "S3:12, 120", "R6", ["87 %", "validation loss and the second a training loss", "70.78 %", "73.3 %"]),
    ("S3", "S3:122", "R8", ["0.751 at iteration 20 to 0.822 at 50", "9.454 %"]),
    ("S3", "S3:95", "R14", ["3 of the 10", "136.8", "822.9", "811.8"]),
    ("S3", "S3:94-97", "R14", ["850 tokens/s", "5.249 s", "420.9 tokens/s"]),
    ("S3", "S3:138, 149", "R24", ["quote about success”, which is a training example", "word for word"]),
    ("S3", "S3:170", "R17", ["40-60% faster", "0.2989 to 0.6216 times", "0.175 times as many words"]),
    ("S3", "S3:188", "R26", ["full fine-tuning"]),
    ("S3", "S3:189", "R26", ["quantised"]),
    ("S0", "S0:54-55, 46", "R26", ["2 times the tokens", "1.21 times as long", "1.653 times as many tokens"]),
    ("S0", "S0:161", "R8", ["0.839 for tinyllama", "1.153 for qwen"]),
    ("S0", "S0:44", "R26", ["1.076", "1.618", "32,000 (tinyllama) and 151,936 (qwen)"]),
    ("S0", "S0:80-81", "R26", ["1.362", "1.899"]),
    ("S0", "S0:78-86", "R7", ["5 rows of the test split"]),
    ("S0", "S0:96-97, 131", "R23", ["coherence of tinyllama", "<|im_end|>"]),
    ("S0", "S0:281", "R3", ["40 % larger", "36.36 %"]),
    ("S0", "S0:44-47", "R3", ["21 % of training time by b/a - 1", "29 % of peak memory by 1 - a/b"]),
    ("S1", "S1:9, 399", "R3", ["40 % larger", "36.36 %"]),
    ("S1", "S1:213", "R5", ["±5 %", "11.93 %"]),
    ("S1", "S1:223", "R5", ["±2 %", "5.772 %"]),
    ("S1", "S1:8", "R4", ["20 rows", "better in 7", "tinyllama/base in 13"]),
    ("S1", "S1:10", "R4", ["135 for tinyllama", "64 for qwen", "2.109 times"]),
    ("S1", "S1:151", "R17", ["1.96 s", "128 / 65.3", "2.16 s"]),
    ("S1", "S1:51-52", "R17", ["2 GB in 200 ms", "10 GB/s"]),
    ("S1", "S1:86", "R23", ["artificial intelligence", "that of tinyllama/base is not recorded"]),
    ("S1", "S1:96", "R23", ["fibonacci", "that of tinyllama/base is not recorded"]),
    ("S1", "S1:115, 117", "R23", ["tinyllama/base and qwen/base"]),
    ("S1", "S1:245", "R19", ["1.8 times", "2.112 times on average", "1.797 (creative)", "1.364 times"]),
    ("S1", "S1:379", "R23", ["UTF-8 read as cp1252"]),
    ("S4", "S4:91", "R17", ["1.662 times as long as gpt2", "By word it takes 1.21 times"]),
    ("S4", "S4:93", "R26", ["full fine-tuning"]),
]


@pytest.mark.parametrize(("name", "place", "rule", "parts"), ROWS, ids=[row[1] for row in ROWS])
def test_a_contradiction_of_the_reference_reports_is_raised(name, place, rule, parts):
    (finding,) = (raised for raised in check(BUNDLES[name]) if raised.text.startswith(f"{place} "))
    assert finding.rule == rule
    assert [part for part in parts if part not in finding.text] == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_else_is_raised_against_a_reference_report(name):
    raised = [finding.text for finding in check(BUNDLES[name])]
    assert len(raised) == sum(row[0] == name for row in ROWS), raised


@pytest.mark.parametrize("name", FILES)
def test_every_claim_quotes_its_place(name):
    for claim in BUNDLES[name].run.published.claims:
        assert claim.where.startswith(f"{name}:")
        assert claim.text
        assert set(claim.cases) <= {record.case for record in BUNDLES[name].records}


RULES = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_every_rule_has_its_line():
    assert re.findall(r"^\| (R\d+) \|", RULES, flags=re.MULTILINE) == [f"R{n}" for n in range(1, 27)]


def test_every_check_stands_in_the_rules_with_its_own():
    rows = re.findall(r"^\| `(\w+)` \| (R\d+) \| (.*) \|$", RULES, flags=re.MULTILINE)
    levels = {name: (re.findall(r"\((warning|note)\)$", text) or ["contradiction"])[0] for name, _, text in rows}
    assert {name: (rule, levels[name]) for name, rule, _ in rows} == {name: row[:2] for name, row in CHECKS.items()}
    assert len(rows) == len(CHECKS)
