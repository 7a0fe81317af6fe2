import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
from mlx.utils import tree_map

from harness.inputs.plans import Job, Work
from harness.inputs.prompts import SCENARIOS, read_prompts
from harness.machine.clock import Stopwatch
from harness.machine.energy import Unreadable
from harness.results.records import Readings
from harness.worker import mlxlm
from harness.worker.model_costs import decode_bytes
from harness.worker.probe import Roof
from harness.worker.workloads import inference, resource_usage
from harness.worker.workloads.context import Context


class Meter:
    """Counts 10 J from one look to the next, all in the package."""

    reason = None

    def __init__(self):
        self._read = 0.0

    def joules(self):
        self._read += 10.0
        return {"package": self._read}


def context_for(nano, profile, stopwatch, progress=lambda *_: None, **ready):
    return Context(
        job=Job(work=Work.INFERENCE, ready=replace(nano("smollm2"), **ready), profile=profile),
        device="cpu: test",
        progress=progress,
        stopwatch=stopwatch,
        energy=Meter(),
        _roof=Roof(gemm_flops_per_s=1.0, copy_bytes_per_s=1e9, method="told"),
    )


@pytest.fixture(scope="module")
def measured(nano, tiny_profile):
    reading = iter(range(10**6))
    worked = iter(range(10**6))  # three seconds of processor time from one look to the next
    stopwatch = Stopwatch(
        now_ns=lambda: next(reading) * 10**9, cpu_ns=lambda: next(worked) * 3 * 10**9, wait=lambda: None
    )
    progress = []
    context = context_for(nano, tiny_profile, stopwatch, progress=lambda *values: progress.append(values))
    return inference.measure(context), progress, context


def test_every_scenario_is_measured_once_and_the_warm_up_is_not(measured):
    """Four tokens at 2, 3, 4 and 5 s after the start, the prompt's tokens at 1 s."""
    sample, progress, _ = measured
    expected = {"ttft_s": 1.0, "decode_tokens_per_s": 1.0, "tpot_s": 1.0, "response_s": 5.0}
    for name, value in expected.items():
        assert sample.readings[name].values == (value,) * 5
    prefill = tuple(float(output.prompt_tokens) for output in sample.outputs)  # in a second
    assert sample.readings["prefill_tokens_per_s"].values == prefill
    for name in (*expected, "prefill_tokens_per_s"):
        assert sample.readings[name].labels == ("short", "medium", "long", "code", "creative")
    assert sample.readings["itl_s"].values == (1.0,) * 15
    assert progress == [(n, 5, "1.0 token/s") for n in (1, 2, 3, 4, 5)]


def test_every_answer_is_kept_whole_with_its_prompt(measured, load_nano):
    sample, *_ = measured
    tokenizer = load_nano("smollm2").tokenizer
    asked = [read_prompts(name)[0] for name in SCENARIOS]
    assert [(item.prompt_id, item.prompt) for item in sample.outputs] == [
        (element.id, element.text) for element in asked
    ]
    assert {(entry.output_tokens, entry.finish_reason) for entry in sample.outputs} == {(4, "length")}
    for output in sample.outputs:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": output.prompt}], tokenize=False, add_generation_prompt=True
        )
        assert output.prompt_tokens == len(tokenizer.encode(text, add_special_tokens=False))
        assert output.text != ""


def test_the_model_is_loaded_cold_and_then_warm(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    dropped = []
    monkeypatch.setattr(inference, "drop_from_page_cache", lambda paths: dropped.extend(paths) or True)
    sample = inference.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    assert sample.readings["load_s"].labels == ("cold", "warm")
    assert sample.readings["load_s"].values == (1.0, 1.0)
    assert dropped == [Path(nano("smollm2").directory) / "model.safetensors"]


def test_a_system_that_keeps_its_page_cache_has_only_a_warm_load_and_a_reason(
    nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    monkeypatch.setattr(inference, "drop_from_page_cache", lambda paths: False)
    load_s = inference.measure(context_for(nano, tiny_profile, stepping_stopwatch)).readings["load_s"]
    assert (load_s.labels, load_s.values) == (("warm",), (1.0,))
    assert load_s.reason.startswith("cold: ")


def test_the_size_on_disk_and_the_memory_are_told(measured, nano):
    readings = measured[0].readings
    size = (Path(nano("smollm2").directory) / "model.safetensors").stat().st_size
    assert readings["disk_bytes"].values == (float(size),)
    assert readings["peak_active_bytes"].labels == ("load", "generate", "context", "batch")
    assert min(readings["peak_active_bytes"].values) > 0


def test_the_key_says_how_much_was_generated_and_how(measured):
    key = measured[0].key
    assert (key.model, key.adapter, key.dataset) == ("smollm2", None, None)
    assert key.settings == {
        "output_tokens": 4,
        "prompts_per_scenario": 1,
        "warmup_prompts": 1,
        "context_tokens": 4,
        "sampling": "greedy",
        "ignore_eos": True,
    }


def test_warming_up_answers_as_many_prompts_as_the_profile_says(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    asked = []

    def noted(loaded, scenario, prompt, tokens, stopwatch):
        asked.append((scenario, prompt.id))
        return real(loaded, scenario, prompt, tokens, stopwatch)

    real = inference.respond
    monkeypatch.setattr(inference, "respond", noted)
    plan = replace(tiny_profile.inference, warmup_prompts=2, prompts_per_scenario=2, output_tokens=2)
    profile = replace(tiny_profile, inference=plan)
    inference.measure(context_for(nano, profile, stepping_stopwatch))
    assert asked[:2] == [("warm-up", "short-1"), ("warm-up", "medium-1")]
    assert asked[2:12] == [(name, f"{name}-{number}") for name in SCENARIOS for number in (1, 2)]


def test_the_first_prompt_is_answered_again_and_again(measured, nano, tiny_profile, stepping_stopwatch, monkeypatch):
    assert measured[0].readings["repeat_decode_tokens_per_s"] == Readings(values=(1.0, 1.0))
    asked = []
    real = inference.respond
    monkeypatch.setattr(inference, "respond", lambda *args: asked.append(args[2].id) or real(*args))
    inference.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    assert asked[-3:] == ["creative-1", "short-1", "short-1"]


def test_depth_and_batch_are_measured_too(measured):
    readings = measured[0].readings
    assert readings["context_prefill_tokens_per_s"].values == (4.0, 4.0)
    assert readings["context_decode_tokens_per_s"].labels == ("depth 0", "depth 8")
    assert readings["batch_decode_tokens_per_s"].values == (1.0, 2.0)


def test_processor_and_energy_are_metered_while_the_scenarios_are_answered(measured):
    """3 s of processor time between two looks, 10 J between any two; the energy meter is looked at before, after
    each of the 5 answers, and after all, so 6 times 10 J; the clock before, 6 times an answer, and after."""
    readings = measured[0].readings
    assert readings["cpu_percent"].values == (100 * 3 / 31,)
    assert readings["energy_j_per_token"] == Readings(values=(60 / 20,), labels=("package",))


def test_a_meter_that_cannot_be_read_gives_its_reason(nano, tiny_profile, stepping_stopwatch):
    context = context_for(nano, tiny_profile, stepping_stopwatch)
    context.energy = Unreadable(reason="no meter here")
    energy = inference.measure(context).readings["energy_j_per_token"]
    assert energy == Readings(values=(), reason="no meter here")


def test_the_roof_is_measured_once_before_anything_is_timed(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    order = []
    monkeypatch.setattr(Context, "roof", lambda self, loaded: order.append("roof") or self._roof)
    real = inference.respond
    monkeypatch.setattr(inference, "respond", lambda *args: order.append("respond") or real(*args))
    inference.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    assert order[:2] == ["roof", "respond"]
    assert order.count("roof") == 1


def test_mbu_is_measured_against_the_copy_rate_of_this_machine(
    nano, load_nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    """A second a token: the bytes it reads, behind the prompt and half of 4 tokens, over those of a second's copy."""
    monkeypatch.setattr(resource_usage, "CACHE_BYTES", 0)
    context = context_for(nano, tiny_profile, stepping_stopwatch)
    sample = inference.measure(context)
    shape = mlxlm.shape_of(load_nano("smollm2").model)
    expected = tuple(decode_bytes(shape, depth=output.prompt_tokens + 2) / 1e9 for output in sample.outputs)
    assert sample.readings["mbu"] == Readings(values=expected, labels=SCENARIOS)
    assert sample.readings["probe_copy_bytes_per_s"].values == (1e9,)
    assert context.doubts == []


def test_a_speed_beyond_the_machine_is_doubted(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    monkeypatch.setattr(resource_usage, "CACHE_BYTES", 0)
    context = context_for(nano, tiny_profile, stepping_stopwatch)
    context._roof = replace(context._roof, copy_bytes_per_s=1.0)
    inference.measure(context)
    (doubt,) = context.doubts
    assert doubt.startswith("mbu of ")


def test_logits_that_are_no_numbers_are_doubted(measured, nano, tiny_profile, stepping_stopwatch, monkeypatch):
    assert measured[2].doubts == []
    real = mlxlm.load

    def broken(*args):
        loaded = real(*args)
        loaded.model.update(tree_map(lambda value: value * math.nan, loaded.model.parameters()))
        return loaded

    monkeypatch.setattr(mlxlm, "load", broken)
    context = context_for(nano, tiny_profile, stepping_stopwatch)
    inference.measure(context)
    assert context.doubts[0] == ("the logits of the first prompt are not all finite numbers: its answers mean nothing")


def say_one_token(monkeypatch):
    monkeypatch.setattr(mlxlm, "generate", lambda model, prompt, count: iter((7,) * count))


@pytest.mark.parametrize("source", ["nano", "random"])
def test_random_weights_may_say_one_token_alone(nano, tiny_profile, stepping_stopwatch, monkeypatch, source):
    say_one_token(monkeypatch)
    weights = replace(nano("smollm2").weights, source=source)
    context = context_for(nano, tiny_profile, stepping_stopwatch, weights=weights)
    sample = inference.measure(context)
    assert sample.notes == ("every answer consists of one token alone, 7: random weights may do so",)
    assert context.doubts == []


def test_real_weights_that_say_one_token_alone_are_doubted(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    say_one_token(monkeypatch)
    weights = replace(nano("smollm2").weights, source="hub")
    context = context_for(nano, tiny_profile, stepping_stopwatch, weights=weights)
    sample = inference.measure(context)
    assert context.doubts == ["every answer consists of one token alone, 7: the output is degenerate"]
    assert sample.notes == ()


def test_answers_that_differ_in_one_token_are_not_degenerate(nano, tiny_profile, stepping_stopwatch, monkeypatch):
    tokens = itertools.chain([8], itertools.repeat(7))
    monkeypatch.setattr(mlxlm, "generate", lambda model, prompt, count: itertools.islice(tokens, count))
    weights = replace(nano("smollm2").weights, source="hub")
    plan = replace(tiny_profile.inference, warmup_prompts=0)
    context = context_for(nano, replace(tiny_profile, inference=plan), stepping_stopwatch, weights=weights)
    inference.measure(context)
    assert context.doubts == []


def test_a_depth_out_of_reach_is_noted_in_the_sample(nano, tiny_profile, stepping_stopwatch):
    plan = replace(tiny_profile.inference, context_depths=(0, 4096))
    sample = inference.measure(context_for(nano, replace(tiny_profile, inference=plan), stepping_stopwatch))
    assert sample.readings["context_decode_tokens_per_s"].labels == ("depth 0",)
    assert sample.notes[0].startswith("context depth 4096 is left out: ")


def test_the_footprint_of_a_device_with_memory_of_its_own_is_not_that_of_the_machine(
    nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    monkeypatch.setattr(mlxlm, "has_memory_of_its_own", lambda: True)
    sample = inference.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    footprint = sample.readings["peak_footprint_bytes"]
    assert footprint.values == ()
    assert "the memory of the device is not read" in footprint.reason
    assert sample.readings["peak_active_bytes"].values


def test_weights_without_a_file_have_no_loading_time_and_no_size(nano, tiny_profile, stepping_stopwatch):
    context = context_for(nano, tiny_profile, stepping_stopwatch)
    drawn = replace(context.ready, weights=replace(context.ready.weights, source="random", bytes=0))
    context.job = replace(context.job, ready=drawn)
    readings = inference.measure(context).readings
    for name in ("load_s", "disk_bytes"):
        assert readings[name].values == ()
        assert readings[name].reason == "random weights are drawn in memory: there is no file to load"
    assert readings["peak_active_bytes"].labels == ("load", "generate", "context", "batch")
