import pytest

from harness.gate import preconditions
from harness.gate.preconditions import warnings
from harness.results.records import Kind, Published
from tests.support.samples import bundle, environment, key, measured, record, weights

TIME, MEMORY, COUNT, LOSS, ANSWERS = (
    measured(name, 1.0)
    for name in ("decode_tokens_per_s", "peak_footprint_bytes", "trainable_parameters", "test_loss", "eos_rate")
)
EVERY = [TIME, MEMORY, COUNT, LOSS, ANSWERS]
TODAY = "2026-01-05"


def differing(baseline, candidate, a, b, metric, name):
    """Texts of the differences; a difference between two values is of the field that its text begins with."""
    differences = preconditions.differing(baseline, candidate, a, b, metric, name)
    for difference in differences:
        assert difference.field == (difference.text.partition(": ")[0] if " -> " in difference.text else None)
    return [difference.text for difference in differences]


def between(metric, one, other, *machines):
    first, second = machines or (environment(), environment())
    a, b = record(key=one), record(key=other)
    name = {Kind.TIMING: "decode_tokens_per_s", Kind.MEMORY: "peak_footprint_bytes"}.get(metric.kind, "other")
    return differing(bundle(a, environment=first), bundle(b, environment=second), a, b, metric, name)


def machine(**facts):
    return environment(os={**environment().os, **facts})


def told(one, other, today=TODAY):
    return warnings(one, other, today)


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({}, []),
        ({"weights": weights(sha256="c" * 64)}, [f"weights: '{'a' * 12}' -> '{'c' * 12}'"]),
        ({"weights": weights(source="path", repository=None, revision=None)}, []),
        ({"model": "other"}, ["model: 'tiny' -> 'other'"]),
        ({"tokenizer": "d" * 64}, [f"tokenizer: '{'b' * 12}' -> '{'d' * 12}'"]),
        ({"dtype": "float16"}, ["dtype: 'float32' -> 'float16'"]),
        ({"quantization": {"bits": 4}}, ["quantization: unknown -> 1 fields"]),
        ({"adapter": {"name": "r8", "rank": 8}}, ["adapter: unknown -> r8"]),
        ({"dataset": {"name": "quotes"}}, ["dataset: unknown -> quotes"]),
        (
            {"settings": {"output_tokens": 9, "seed": 1}},
            ["settings.output_tokens: 8 -> 9", "settings.seed: unknown -> 1"],
        ),
    ],
)
def test_a_case_compares_with_itself_alone(metric, changes, texts):
    assert between(metric, key(), key(**changes)) == texts


def test_a_change_deep_in_a_part_is_named_by_its_path():
    one, other = (key(adapter={"training": {"seed": seed, "iters": 5}}) for seed in (1, 2))
    assert between(TIME, one, other) == ["adapter.training.seed: 1 -> 2"]


def test_bits_that_follow_from_sizes_are_no_setting():
    one, other = (key(quantization={"bits": 4, "bits_per_weight": bits}) for bits in (4.5, 4.6))
    assert between(TIME, one, other) == []


def test_weights_of_unknown_content_compare_with_nothing():
    stand_in_key = key(weights=weights(sha256="unknown"))
    assert between(TIME, stand_in_key, stand_in_key) == ["weights: 'unknown' -> 'unknown'"]


def test_stand_ins_compare_with_their_like():
    stand_in_key = key(weights=weights(source="nano"))
    assert between(ANSWERS, stand_in_key, stand_in_key) == between(TIME, stand_in_key, stand_in_key) == []


@pytest.mark.parametrize("metric", EVERY)
def test_a_case_without_a_key_compares_with_nothing(metric):
    assert between(metric, key(), None) == ["the case did not get far enough to be identified"]


@pytest.mark.parametrize(
    ("metric", "texts"),
    [
        (TIME, ["device: 'gpu: One' -> 'gpu: Two'"]),
        (MEMORY, ["device: 'gpu: One' -> 'gpu: Two'"]),
        (COUNT, []),
        (LOSS, []),
        (ANSWERS, []),
    ],
)
def test_another_device_of_its_type_forbids_times_and_memory(metric, texts):
    assert between(metric, key(), key(device="gpu: Two")) == texts


def test_another_type_of_device_forbids_all_but_counts():
    other = key(device="cpu: One")
    assert between(LOSS, key(), other) == between(ANSWERS, key(), other) == ["device: 'gpu' -> 'cpu'"]
    assert between(TIME, key(), other) == ["device: 'gpu: One' -> 'cpu: One'"]
    assert between(COUNT, key(), other) == []


@pytest.mark.parametrize(
    ("facts", "texts"),
    [
        ({"cores": 4}, ["machine.cores: 2 -> 4"]),
        ({"threads": 8}, ["machine.threads: 4 -> 8"]),
        ({"gpu_cores": 10}, ["machine.gpu_cores: unknown -> 10"]),
        ({"cpu_limit_cores": 1.5}, ["machine.cpu_limit_cores: unknown -> 1.5"]),
        ({"processor": "Two"}, ["machine.processor: 'One' -> 'Two'"]),
        ({"machine": "arm64"}, ["machine.architecture: 'x86_64' -> 'arm64'"]),
        ({"memory_bytes": 16 * 2**30}, ["machine.memory_gib: 8 -> 16"]),
        ({"memory_limit_bytes": 2**30}, ["machine.memory_limit_gib: unknown -> 1"]),
        ({"release": "7.0"}, ["machine.system: 'Linux 6' -> 'Linux 7'"]),
        ({"name": "Debian GNU/Linux 12"}, ["machine.system: 'Linux 6' -> 'Debian GNU/Linux 12'"]),
        ({"memory_bytes": 8 * 2**30 - 5 * 2**20, "release": "6.9", "hostname": "b", "cpu_mhz": 900}, []),
    ],
)
def test_another_machine_forbids_times_and_memory_alone(facts, texts):
    assert between(TIME, key(), key(), environment(), machine(**facts)) == texts
    assert between(MEMORY, key(), key(), environment(), machine(**facts)) == texts
    for metric in (COUNT, LOSS, ANSWERS):
        assert between(metric, key(), key(), environment(), machine(**facts)) == []


@pytest.mark.parametrize(("one", "other"), [("macOS 15.1", "macOS 15.3.2"), ("Ubuntu 24.04.1 LTS", "Ubuntu 24.04.2")])
def test_a_minor_version_of_the_system_forbids_nothing(one, other):
    assert between(TIME, key(), key(), machine(name=one), machine(name=other)) == []
    texts = between(TIME, key(), key(), machine(name=one), machine(name="macOS 26.0"))
    assert texts == [f"machine.system: {one.partition('.')[0]!r} -> 'macOS 26'"]


def test_a_machine_that_one_side_alone_knows_gives_no_times():
    a = record()
    assert differing(bundle(a, environment=None), bundle(a), a, a, TIME, "ttft_s") == ["machine: unknown on one side"]
    assert differing(bundle(a, environment=None), bundle(a, environment=None), a, a, TIME, "ttft_s") == []
    assert differing(bundle(a, environment=None), bundle(a), a, a, LOSS, "test_loss") == []


def test_a_long_value_is_shown_by_its_start():
    (text,) = between(TIME, key(), key(dtype="x" * 100))
    assert text == f"dtype: 'float32' -> '{'x' * 29}…'"


def test_two_runs_made_alike_need_no_warning():
    assert told(bundle(), bundle()) == ()


@pytest.mark.parametrize(
    ("today", "texts"),
    [
        ("2026-02-01T00:00:00Z", ()),
        ("2026-02-02", ("the baseline is 31 days old; measure it again",)),
        ("2026-01-01", ("the baseline was measured on 2026-01-02, after today (2026-01-01)",)),
    ],
)
def test_a_baseline_older_than_thirty_days_is_told(today, texts):
    assert told(bundle(), bundle(), today) == texts


def test_a_baseline_without_a_date_is_told():
    (text,) = told(bundle(started_at="unknown"), bundle())
    assert text == "the baseline does not say when it was measured: 'unknown'"


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"finished_at": None}, "the candidate did not end"),
        ({"resumed_at": ("2026-01-02T05:00:00Z",)}, "the candidate was interrupted and gone on with"),
        ({"git": {"commit": "0", "dirty": True}}, "the candidate was measured with changes that are in no commit"),
        ({"published": Published(source="x", date=None)}, "the candidate was read from a report"),
    ],
)
def test_how_a_run_came_about_is_told_of_either_side(changes, texts):
    (one,) = told(bundle(), bundle(**changes))
    assert one.startswith(texts)
    (other,) = told(bundle(**changes), bundle())
    assert other.startswith(texts.replace("candidate", "baseline"))


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        (
            {"packages": {"mlx": "0.32.0", "mlx-lm": "1"}},
            "versions differ: mlx: 0.31.0 -> 0.32.0, mlx-lm: unknown -> 1; a difference may be theirs",
        ),
        ({"os": {**environment().os, "python": "3.13.0"}}, "Python differs: 3.12 -> 3.13"),
        ({"code": "e" * 64}, "the code that measures differs: a difference may be in how it was measured"),
        (
            {"os": {**environment().os, "variables": {"MLX_X": "1"}}},
            "environment variables differ: MLX_X: unknown -> '1'",
        ),
        ({"power": {"on_battery": True}}, "conditions differ: on_battery: unknown -> True"),
        ({"power": {"low_power_mode": True}}, "conditions differ: low_power_mode: unknown -> True"),
        ({"power": {"competing_processes": 3}}, "conditions differ: competing_processes: unknown -> 3"),
    ],
)
def test_what_may_explain_a_difference_is_told(changes, texts):
    assert told(bundle(), bundle(environment=environment(**changes))) == (texts,)


def test_a_patch_of_python_and_the_load_are_not_told():
    machine = environment(os={**environment().os, "python": "3.12.9"}, power={"load_average_1min": 3.0})
    assert told(bundle(), bundle(environment=machine)) == ()


def test_an_unknown_machine_is_told():
    assert told(bundle(), bundle(environment=None)) == ("the machine of one of the runs is not known",)


def test_what_the_allocator_holds_does_not_depend_on_the_processor():
    """A hosted runner is another one every time; the system and what it runs on stay."""
    peak = measured("peak_active_bytes", 1.0)
    a = record(key=key(device="cpu: Old"))
    b = record(key=key(device="cpu: New"))

    def said(**facts):
        before, after = bundle(a, environment=environment()), bundle(b, environment=machine(**facts))
        return differing(before, after, a, b, peak, "peak_active_bytes")

    assert said(processor="New", cores=64, memory_bytes=2**40) == []
    assert said(machine="arm64") != []
    other = record(key=key(device="gpu: New"))
    sides = bundle(a, environment=environment()), bundle(other, environment=environment())
    assert differing(*sides, a, other, peak, "peak_active_bytes") == ["device: 'cpu' -> 'gpu'"]
