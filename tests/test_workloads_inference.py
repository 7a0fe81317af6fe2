from dataclasses import replace
from pathlib import Path

import pytest

from harness import mlxlm
from harness.meters import Stopwatch
from harness.plans import Job
from harness.texts import SCENARIOS, Prompt, read_prompts
from harness.workloads import inference
from harness.workloads.context import Context
from harness.workloads.inference import Response, respond, response_readings

RESPONSE = Response(scenario="short", prompt_tokens=30, tokens=(7, 8, 9), tokenised_s=0.5, token_s=(2.0, 3.0, 6.0))


def test_a_response_is_timed_from_its_stamps():
    """Tokenised at 0.5 s, tokens at 2, 3 and 6 s: 30 tokens in 1.5 s, then 2 intervals in 4 s, 6 s in all."""
    assert RESPONSE.ttft_s == 1.5
    assert RESPONSE.prefill_tokens_per_s == 20.0
    assert RESPONSE.decode_tokens_per_s == 0.5
    assert RESPONSE.response_s == 6.0


def test_each_response_has_a_reading_a_metric_under_its_scenario():
    other = Response(scenario="code", prompt_tokens=3, tokens=(7, 8), tokenised_s=1.0, token_s=(2.0, 2.5))
    readings = response_readings([RESPONSE, other])
    assert {its.labels for its in readings.values()} == {("short", "code")}
    assert {name: its.values for name, its in readings.items()} == {
        "ttft_s": (1.5, 1.0),
        "prefill_tokens_per_s": (20.0, 3.0),
        "decode_tokens_per_s": (0.5, 2.0),
        "response_s": (6.0, 2.5),
    }


@pytest.mark.parametrize("count", [2, 5])
def test_exactly_as_many_tokens_are_generated_as_asked_for_each_with_its_stamp(load_nano, stepping_stopwatch, count):
    """A second passes at each look: the start, the prompt's tokens, then every token."""
    loaded = load_nano("smollm2")
    response = respond(loaded, "short", Prompt(id="p", text="Why?"), count, stepping_stopwatch)
    prompt = mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": "Why?"}])
    assert response.prompt_tokens == len(prompt)
    assert response.tokens == tuple(mlxlm.generate(loaded.model, prompt, count))
    assert response.tokenised_s == 1.0
    assert response.token_s == tuple(float(n + 2) for n in range(count))


def context_for(nano, profile, stopwatch, progress=lambda *_: None, **job):
    return Context(
        job=Job(work="inference", ready=nano("smollm2"), profile=profile, **job),
        device="cpu: test",
        progress=progress,
        stopwatch=stopwatch,
    )


@pytest.fixture(scope="module")
def measured(nano, tiny_profile):
    reading = iter(range(10**6))
    stopwatch = Stopwatch(now_ns=lambda: next(reading) * 10**9, wait=lambda: None)
    progress = []
    context = context_for(nano, tiny_profile, stopwatch, progress=lambda *its: progress.append(its))
    return inference.measure(context), progress


def test_every_scenario_is_measured_once_and_the_warm_up_is_not(measured):
    """Four tokens at 2, 3, 4 and 5 s after the start, the prompt's tokens at 1 s."""
    sample, progress = measured
    expected = {"ttft_s": 1.0, "decode_tokens_per_s": 1.0, "response_s": 5.0}
    for name, value in expected.items():
        assert sample.readings[name].values == (value,) * 5
    prefill = tuple(float(its.prompt_tokens) for its in sample.outputs)  # in a second
    assert sample.readings["prefill_tokens_per_s"].values == prefill
    for name in (*expected, "prefill_tokens_per_s"):
        assert sample.readings[name].labels == ("short", "medium", "long", "code", "creative")
    assert progress == [(n, 5, "1.0 token/s") for n in (1, 2, 3, 4, 5)]


def test_every_answer_is_kept_whole_with_its_prompt(measured, load_nano):
    sample, _ = measured
    tokenizer = load_nano("smollm2").tokenizer
    asked = [read_prompts(name)[0] for name in SCENARIOS]
    assert [(its.prompt_id, its.prompt) for its in sample.outputs] == [(its.id, its.text) for its in asked]
    assert {(its.output_tokens, its.finish_reason) for its in sample.outputs} == {(4, "length")}
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
    assert readings["peak_active_bytes"].labels == ("load", "generate")
    assert min(readings["peak_active_bytes"].values) > 0


def test_the_key_says_how_much_was_generated_and_how(measured):
    key = measured[0].key
    assert (key.model, key.adapter, key.dataset) == ("smollm2", None, None)
    assert key.settings == {
        "output_tokens": 4,
        "prompts_per_scenario": 1,
        "warmup_prompts": 1,
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
    profile = replace(tiny_profile, warmup_prompts=2, prompts_per_scenario=2, output_tokens=2)
    inference.measure(context_for(nano, profile, stepping_stopwatch))
    assert asked[:2] == [("warm-up", "short-1"), ("warm-up", "medium-1")]
    assert asked[2:] == [(name, f"{name}-{number}") for name in SCENARIOS for number in (1, 2)]
