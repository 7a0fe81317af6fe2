import json
import random
import re
from dataclasses import replace
from statistics import median

import pytest

from harness.results import codec
from harness.results.records import Status
from tests.support.comparisons import page
from tests.support.samples import (
    Page,
    bundle,
    environment,
    failed,
    full_record,
    grid,
    key,
    losses,
    markdown,
    measured,
    notes,
    output,
    record,
    row,
    section,
    small_run,
    weights,
)

STAND_IN = "stand-in weights compare with nothing here"
SPEED, WAIT = "decode_tokens_per_s", "ttft_s"
SPEED_ROW, WAIT_ROW = "decode_tokens_per_s ↑", "ttft_s ↓"


def duel(name, left, right, *, left_key=None, right_key=None):
    """Return the only table row, and its footnotes, of a run with two inference cases, tiny/left and tiny/right."""
    cases = [
        record(f"inference/tiny/{side}", key=side_key or key(), metrics={name: measured(name, *values)})
        for side, values, side_key in (("left", left, left_key), ("right", right, right_key))
    ]
    (table,) = section(page(bundle(*cases)), "Inference").tables
    (cells,) = table.rows
    return cells[-1].text, table.notes


# --- numbers ---


def test_a_label_gets_a_row_of_its_own():
    case = record(
        metrics={WAIT: measured(WAIT, (0.25, 2.0, 0.75), (0.25, 4.0, 0.75), labels=("short", "long", "short"))}
    )
    rows = [list(cells.values()) for cells in grid(page(bundle(case)), "Inference")]
    assert rows == [
        ["ttft_s short ↓", "500.0 {500.0; 500.0} ms (n=2×2)"],
        ["ttft_s long ↓", "3.000 {2.000; 4.000} s (n=2)"],
        ["ttft_s geometric mean ↓", "1.207 {1.000; 1.414} s (n=2)"],  # of 0.5 and 2, of 0.5 and 4
    ]


BASE_UNITS = {
    "token/s": 1.0, "nat/token": 1.0, "": 1.0, "s": 1.0, "ms": 1e-3, "min": 60.0, "B": 1.0, "KiB": 2.0**10,
    "MiB": 2.0**20, "GiB": 2.0**30, "kB/s": 1e3, "%": 1e-2,
}  # fmt: skip
CELL = re.compile(r"([\d.,]+)(?: %)?(?: \{(.*)\})? ?(\S*) \(n=(\d+)(?:×(\d+))?\)")


def readings_in_json(case):
    """(metric, label) -> a list of readings a process, from the stored text alone."""
    readings = {}
    for name, metric in json.loads(codec.encode(case))["metrics"].items():
        for process in metric["samples"] or []:
            by_label = {}
            for label, value in zip(metric["labels"] or [None] * len(process), process, strict=True):
                by_label.setdefault(label, []).append(value)
            for label, values in by_label.items():
                readings.setdefault((name, label), []).append(values)
    return readings


def test_every_number_of_the_report_can_be_found_again_in_the_json():
    case = full_record()
    report = page(bundle(case))
    stored = readings_in_json(case)
    cells = {}
    for cells_by_head in grid(report, "Training"):
        name, *label = cells_by_head["metric"].rstrip("↑↓ ").replace("`", "").split(" ")
        cells[name, label[0] if label else None] = cells_by_head["tiny/r8"]
    for cells_by_head in grid(report, "Memory"):
        for name in ("peak_active_bytes", "peak_cache_bytes"):
            cells[name, cells_by_head["phase"]] = cells_by_head[name]
    unmeasured = {place for place, cell in cells.items() if cell.startswith("not measured")}
    assert cells.keys() - unmeasured == stored.keys()
    for place, processes in stored.items():
        middle, process_medians, unit, processes_shown, each_shown = CELL.fullmatch(cells[place]).groups()
        factor = BASE_UNITS["%" if "%" in cells[place] else unit]
        medians = sorted(median(process) for process in processes)
        numbers = [middle, *process_medians.split("; ")] if process_medians else [middle]
        numbers_shown = [float(number.removesuffix(" %").replace(",", "")) * factor for number in numbers]
        expected = [median(medians), *(medians if len(medians) > 1 else [])]
        assert numbers_shown == pytest.approx(expected, rel=5e-4), place
        assert int(processes_shown) == len(processes)
        assert int(each_shown or 1) == len(processes[0])


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_processes_changes_no_byte(seed):
    def shuffled(case, order):
        return replace(
            case,
            metrics={
                name: replace(metric, samples=tuple(metric.samples[i] for i in order))
                for name, metric in case.metrics.items()
            },
        )

    lost, base, tuned = small_run().records
    order = random.Random(seed).sample(range(6), 6)  # noqa: S311 - a permutation, not a secret
    assert page(bundle(lost, shuffled(base, order), shuffled(tuned, order[::-1]))) == page(small_run())


# --- winners ---

FAST, SLOW = (40.0, 41.0, 42.0, 43.0, 44.0, 45.0), (20.0, 21.0, 22.0, 23.0, 24.0, 25.0)


@pytest.mark.parametrize(
    ("name", "left", "right", "best"),
    [
        (SPEED, FAST, SLOW, "tiny/left"),
        (SPEED, SLOW, FAST, "tiny/right"),
        (WAIT, FAST, SLOW, "tiny/right"),
        (WAIT, SLOW, FAST, "tiny/left"),
    ],
)
def test_the_winner_is_on_the_side_that_is_better(name, left, right, best):
    verdict, notes = duel(name, left, right)
    assert verdict.startswith(f"{best} is better (ratio ")
    assert notes == ()


@pytest.mark.parametrize(("name", "ratio"), [(SPEED, "2.000"), (WAIT, "0.500")])
def test_the_ratio_is_the_winner_over_the_other(name, ratio):
    """All readings of a side equal: every ratio of two of them is the same one."""
    fast, slow = (4.0,) * 6, (2.0,) * 6
    best = "tiny/left" if name == SPEED else "tiny/right"
    assert duel(name, fast, slow)[0] == f"{best} is better (ratio {ratio} [{ratio}, {ratio}])"


@pytest.mark.parametrize(("processes", "note"), [(1, "n=1"), (4, "n=4")])
def test_too_few_processes_name_no_winner(processes, note):
    verdict, notes = duel(SPEED, FAST[:processes], SLOW[:processes])
    assert verdict == "not judged"
    assert notes == (f"{note}; a verdict needs 5 processes a case",)


def test_many_readings_of_one_process_are_still_one_process():
    verdict, notes = duel(SPEED, (FAST,), (SLOW,))
    assert verdict == "not judged"
    assert notes == ("n=1; a verdict needs 5 processes a case",)


def test_the_fewer_processes_of_the_two_decide():
    assert duel(SPEED, FAST, SLOW[:1])[1] == ("n=1; a verdict needs 5 processes a case",)


def test_what_overlaps_is_inconclusive():
    assert duel(SPEED, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), (1.5, 2.5, 3.5, 4.5, 5.5, 6.5)) == (
        "inconclusive",
        ("tiny/right against tiny/left",),
    )


def test_what_is_within_the_tolerance_is_equivalent():
    assert duel(SPEED, (100.0,) * 6, (101.0,) * 6) == ("equivalent", ())


def test_a_reading_of_0_has_no_ratio():
    verdict, notes = duel(WAIT, (0.0, 1.0, 1.0, 1.0, 1.0, 1.0), (2.0,) * 6)
    assert verdict == "not judged"
    assert notes == ("a reading is not above 0, so there is no ratio",)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (key(weights=weights(source="nano", sha256="f" * 64)), STAND_IN),
        (key(tokenizer="e" * 64), "tokenizer"),
        (key(device="cpu: Two"), "device"),
        (key(dtype="bfloat16"), "dtype"),
        (key(quantization={"bits": 4}), "quantization"),
        (key(dataset={"name": "other"}), "dataset"),
        (key(settings={"output_tokens": 9}), "settings.output_tokens"),
    ],
)
def test_what_does_not_compare_has_no_winner_and_says_why(other, word):
    for swap in (False, True):
        keys = {"left_key": other} if swap else {"right_key": other}
        verdict, notes = duel(SPEED, FAST, SLOW, **keys)
        assert verdict == "not comparable"
        assert notes == (word if word.startswith("stand-in") else f"differing: {word}",)


def test_every_obstacle_is_named():
    other = key(weights=weights(source="nano", sha256="f" * 64), tokenizer="e" * 64, device="cpu: Two")
    assert duel(SPEED, FAST, SLOW, right_key=other)[1] == (f"{STAND_IN}; differing: device, tokenizer",)


def test_seconds_compare_across_tokenizers():
    assert duel(WAIT, FAST, SLOW, right_key=key(tokenizer="e" * 64))[0].startswith("tiny/right is better")


def test_model_and_adapter_may_differ():
    other = key(model="small", weights=weights(sha256="f" * 64), adapter={"name": "r8"})
    assert duel(SPEED, FAST, SLOW, right_key=other)[0].startswith("tiny/left is better")


def three(*medians):
    cases = [
        record(f"inference/{name}/base", metrics={SPEED: measured(SPEED, *[value] * 6)})
        for name, value in zip("abc", medians, strict=True)
    ]
    return row(page(bundle(*cases)), "Inference", SPEED_ROW)["verdict"]


def test_a_winner_of_three_is_better_than_both_others():
    assert three(10.0, 30.0, 20.0).startswith("b/base is better (")
    assert three(10.0, 30.0, 30.0) == "inconclusive"


def test_a_metric_that_is_neither_better_up_nor_down_has_no_verdict():
    words = {"response_words": measured("response_words", *[10.0] * 6)}
    more_words = {"response_words": measured("response_words", *[20.0] * 6)}
    report = page(bundle(record("evaluation/a/base", metrics=words), record("evaluation/b/base", metrics=more_words)))
    assert row(report, "Evaluation", "response_words")["verdict"] == "–"


def test_each_scenario_has_its_own_winner():
    cases = [
        record(f"inference/tiny/{side}", metrics={WAIT: measured(WAIT, *[waits] * 6, labels=("short", "long"))})
        for side, waits in (("left", (1.0, 8.0)), ("right", (2.0, 4.0)))
    ]
    verdicts = [cells["verdict"] for cells in grid(page(bundle(*cases)), "Inference")]
    assert verdicts == [
        "tiny/left is better (ratio 0.500 [0.500, 0.500])",
        "tiny/right is better (ratio 0.500 [0.500, 0.500])",
        "equivalent",  # on the whole: the geometric mean is the root of 8 on both sides
    ]


@pytest.mark.parametrize(("name", "values"), [("test_loss", (2.0, 4.0)), ("bits_per_byte", (1.0, 2.0))])
@pytest.mark.parametrize("source", ["nano", "random"])
def test_weights_that_stand_in_never_get_a_verdict_on_quality(name, values, source):
    stand_in = key(weights=weights(source=source))
    cases = [
        record(f"evaluation/tiny/{side}", key=stand_in, metrics={name: measured(name, *[value] * 6)})
        for side, value in zip(("left", "right"), values, strict=True)
    ]
    report = page(bundle(*cases))
    assert row(report, "Evaluation", f"{name} ↓")["verdict"] == "not comparable"
    assert notes(report, "Evaluation") == [STAND_IN]


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED, Status.TIMEOUT])
def test_a_case_that_did_not_end_well_never_wins(status):
    lost = failed("inference/tiny/left", status=status, key=key(), metrics={SPEED: measured(SPEED, *FAST)})
    kept = record("inference/tiny/right", metrics={SPEED: measured(SPEED, *SLOW)})
    assert row(page(bundle(lost, kept)), "Inference", SPEED_ROW)["verdict"] == "–"


# --- states that have a name ---


def test_a_metric_that_was_not_measured_gives_its_reason():
    case = record(metrics={SPEED: measured(SPEED, 10.0), WAIT: measured(WAIT, reason="the clock stood still")})
    report = page(bundle(case))
    assert row(report, "Inference", WAIT_ROW)["tiny/base"] == "not measured"
    assert notes(report, "Inference") == ["the clock stood still"]


def test_a_metric_that_one_case_lacks_is_not_measured_there_and_not_0():
    both = {SPEED: measured(SPEED, 10.0), WAIT: measured(WAIT, 0.5)}
    speed_alone = {SPEED: measured(SPEED, 10.0)}
    report = page(bundle(record("inference/a/base", metrics=both), record("inference/b/base", metrics=speed_alone)))
    cells = row(report, "Inference", WAIT_ROW)
    assert (cells["a/base"], cells["b/base"]) == ("500.0 ms (n=1)", "not measured")


def test_a_zero_is_a_number():
    case = record(metrics={WAIT: measured(WAIT, 0.0)})
    assert row(page(bundle(case)), "Inference", WAIT_ROW)["tiny/base"] == "0 s (n=1)"


def test_two_runs_stand_side_by_side_under_their_ids():
    first = bundle(record(metrics={SPEED: measured(SPEED, *SLOW)}), id="first")
    second = bundle(record(metrics={SPEED: measured(SPEED, *FAST)}), id="second")
    cells = row(page(first, second), "Inference", SPEED_ROW)
    assert list(cells) == ["metric", "tiny/base (first)", "tiny/base (second)", "verdict"]
    assert cells["verdict"].startswith("tiny/base (second) is better")
    assert [run["run"] for run in grid(page(first, second), "Runs")] == ["first", "second"]


STATES = {
    "empty": [bundle()],
    "bare": [bundle(record(key=None), environment=None, git=None, finished_at=None, options={}, command=())],
    "all failed": [bundle(*(failed(f"{suite}/tiny/base") for suite in ("training", "evaluation", "inference")))],
    "every status": [bundle(*(failed(f"inference/{s.value}/base", status=s) for s in Status if s is not Status.OK))],
    "one reading": [bundle(record(metrics={WAIT: measured(WAIT, 0.5)}))],
    "nothing measured": [bundle(record(metrics={WAIT: measured(WAIT, reason="no clock")}))],
    "full": [bundle(full_record(), full_record("evaluation/tiny/r8"), full_record("inference/tiny/r8"))],
    "two runs, one empty": [bundle(full_record(), id="one"), bundle(id="two", finished_at=None)],
    "same case in two runs": [bundle(full_record(), id="one"), bundle(failed("training/tiny/r8"), id="two")],
    "short git": [bundle(git={"commit": "0", "dirty": True})],
}


@pytest.mark.parametrize("bundles", STATES.values(), ids=STATES)
def test_no_state_leaves_a_python_word_or_a_crooked_table(bundles):
    report = markdown(page(*bundles)).rpartition("<!-- tunebench")[0]
    assert re.findall(r"\bNone\b|\bnan\b|\binf\b|\bTrue\b|\bFalse\b|Status\.|object at|\{\}|\[\]", report) == []
    parsed = Page(report)
    assert parsed.tables
    assert all(len({len(cells) for cells in table}) == 1 for table in parsed.tables)


def test_a_metric_measured_in_scenarios_is_nowhere_said_not_to_be():
    silent = record("inference/a/base", metrics={WAIT: measured(WAIT, reason="no clock")})
    both = record("inference/b/base", metrics={WAIT: measured(WAIT, (1.0, 2.0), labels=("short", "long"))})
    assert [cells["b/base"] for cells in grid(page(bundle(silent, both)), "Inference")] == [
        "1.000 s (n=1)",
        "2.000 s (n=1)",
        "1.414 s (n=1)",  # the geometric mean
    ]


def test_two_runs_of_one_id_are_told_apart():
    slow = bundle(record(metrics={SPEED: measured(SPEED, *SLOW)}))
    fast = bundle(record(metrics={SPEED: measured(SPEED, *FAST)}))
    for bundles, best in (((slow, fast), 1), ((fast, slow), 0)):
        cells = row(page(*bundles), "Inference", SPEED_ROW)
        _, *names, _ = cells
        assert len(set(names)) == 2
        assert cells["verdict"].startswith(f"{names[best]} is better (")


def test_our_own_text_refers_to_no_issue():
    assert not re.search(r"(?<![&\w])#\d", markdown(page(bundle(record()), bundle(record()))))


# --- foreign text ---

HOSTILE = {
    "html": "<script>alert(1)<script><img src=x onerror=alert(1)>",
    "bars": "a | b || c |\n|:--|:--|\n| d | e |",
    "backticks": "``` `code` ```\n```\nfenced\n```",
    "links": "[click](http://evil.example) ![x](http://evil.example) <http://evil.example> www.evil.example",
    "mentions": "@team and me@example.org",
    "lines": "one\n\n# two\r\n\r\n- three\rfour\n\n> five\n---\n",
    "escapes": "\x1b[31mred\x1b[0m\x07\x9b2J\u202egnorw",
    "jinja": "{{ 7 * 7 }} {% for x in y %} {# no #}",
    "emphasis": "**bold** _slanted_ ~~gone~~ __init__",
    "comment": "<!-- hidden",
}
OURS = {
    "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "strong", "blockquote", "br", "hr",
    "details", "summary", "ul", "li", "pre",
}  # fmt: skip
SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
FENCED = re.compile(r"^(`{3,})[^`\n]*\n.*?^\1$", flags=re.DOTALL | re.MULTILINE)


def hostile_run(word):
    """A run that holds *word* wherever a user, a model or a machine can put text."""
    name = word.replace("/", "")
    hostile_key = key(
        model=word,
        weights=weights(source="nano", repository=word, revision=word, sha256=word, origin_quantization=word),
        tokenizer=word,
        dtype=word,
        adapter={"name": word, "keys": [word]},
        dataset={"name": word, "sha256": word, "rows": {"train": word}},
        device=word,
        settings={"mode": word},
    )
    series = {"train_loss": losses((1, 3.0)), "val_loss": losses((0, 4.0))}
    metrics = {
        WAIT: measured(WAIT, (0.5,), labels=(word,)),
        SPEED: measured(SPEED, reason=word),
        "peak_active_bytes": measured("peak_active_bytes", (1.0,), labels=(word,)),
    }
    words = (output(prompt_id=word, prompt=word, text=word),)
    return bundle(
        record(
            f"training/{name}/r8", key=hostile_key, series=series, metrics={"step_s": measured("step_s", reason=word)}
        ),
        record(f"evaluation/{name}/r8", key=hostile_key, outputs=words),
        record(f"inference/{name}/a", key=hostile_key, metrics=metrics),
        record(f"inference/{name}/b", key=hostile_key, metrics=metrics),
        failed(f"inference/{name}/c", reason=word),
        id=word,
        profile=word,
        command=("pytest", word),
        git={"commit": word, "dirty": True},
        warnings=(word,),
        environment=environment(
            device={"name": word, "type": "gpu"},
            os=dict.fromkeys(("system", "release", "machine", "python", "processor", "cores", "threads"), word),
            packages={"mlx": word},
            blas={"library": word},
            compiler=word,
        ),
    )


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_changes_neither_tables_nor_tags(word):
    report = markdown(page(hostile_run(word)))
    plain = markdown(page(hostile_run("harmless")))
    parsed = Page(report)
    assert {tag for tag, _ in parsed.tags} <= OURS
    assert all(not set(attributes) - {"style", "class"} for _, attributes in parsed.tags)
    shape = [[len(cells) for cells in table] for table in parsed.tables]
    assert shape == [[len(cells) for cells in table] for table in Page(plain).tables]
    for tag in ("h1", "h2", "strong", "blockquote", "hr"):
        counts = [sum(name == tag for name, _ in html.tags) for html in (parsed, Page(plain))]
        assert counts[0] == counts[1], tag


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_leaves_no_control_character_or_address_in_the_file(word):
    """Answers stand in fences and labels in code, where nothing acts; no control character is left there either."""
    report = markdown(page(hostile_run(word)))
    assert {character for character in report if ord(character) < 32 or 127 <= ord(character) < 160} == {"\n"}
    assert "\u202e" not in report
    assert not re.search(r"://|www\.|@", SPAN.sub("", FENCED.sub("", report)))


@pytest.mark.parametrize("name", ["html", "jinja", "emphasis", "comment"])
def test_hostile_text_is_shown_as_it_is(name):
    word = HOSTILE[name]
    parsed = Page(markdown(page(hostile_run(word))))
    cells = {cell for table in parsed.tables for cells in table for cell in cells}
    assert word in cells  # model, prompt, reason
    assert parsed.text.count(word) > len(cells & {word})  # the answer's listing
    assert f"Warning: {word}" in parsed.text


ODD = "<b>|</b>"


@pytest.mark.parametrize(
    "run",
    [
        bundle(record(), started_at=ODD),
        bundle(record(), finished_at=ODD),
        bundle(record(), options={"repeats": ODD}),
        bundle(record(key=key(settings={ODD: 1}))),
        bundle(record(key=key(adapter={ODD: 1}))),
        bundle(record(key=key(dataset={ODD: 1}))),
        bundle(record(metrics={WAIT: replace(measured(WAIT, 1.0), unit=ODD)})),
        bundle(environment=environment(packages={ODD: "1"})),
        bundle(environment=environment(power={"load_average_1min": ODD})),
    ],
    ids=["started_at", "finished_at", "repeats", "setting", "adapter", "dataset", "unit", "package", "load"],
)
def test_no_other_field_of_a_result_file_is_markup_either(run):
    assert "b" not in {tag for tag, _ in Page(markdown(page(run))).tags}


def test_figures_that_cannot_be_true_are_shown_as_such_and_never_judged():
    rates = [
        measured("decode_tokens_per_s", *(scale * rate for rate in (10.0, 11.0, 12.0, 10.5, 11.5))) for scale in (1, 9)
    ]
    sane = record("inference/tiny/base", metrics={"decode_tokens_per_s": rates[0]})
    absurd = record(
        "inference/tiny/r8", status=Status.INVALID, reason="mbu of 4", metrics={"decode_tokens_per_s": rates[1]}
    )
    (row,) = grid(page(bundle(sane, absurd)), "Inference")
    assert "tiny/r8, invalid" in row
    assert row["verdict"] == "–"
