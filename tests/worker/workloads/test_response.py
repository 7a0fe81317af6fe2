import pytest

from harness.inputs.prompts import Prompt
from harness.worker import mlxlm
from harness.worker.workloads.response import Response, rate_after_first, respond, response_readings, stamped

RESPONSE = Response(scenario="short", prompt_tokens=30, tokens=(7, 8, 9), tokenized_s=0.5, token_s=(2.0, 3.0, 6.0))


def test_a_response_is_timed_from_its_stamps():
    """Tokenized at 0.5 s, tokens at 2, 3 and 6 s: 30 tokens in 1.5 s, then 2 intervals in 4 s, 6 s in all."""
    assert RESPONSE.ttft_s == 1.5
    assert RESPONSE.prefill_tokens_per_s == 20.0
    assert RESPONSE.itl_s == (1.0, 3.0)
    assert RESPONSE.tpot_s == 2.0
    assert RESPONSE.decode_tokens_per_s == 0.5
    assert RESPONSE.response_s == 6.0


def test_each_response_has_a_reading_a_metric_and_one_an_interval_under_its_scenario():
    other = Response(scenario="code", prompt_tokens=3, tokens=(7, 8), tokenized_s=1.0, token_s=(2.0, 2.5))
    readings = response_readings([RESPONSE, other])
    intervals = readings.pop("itl_s")
    assert (intervals.values, intervals.labels) == ((1.0, 3.0, 0.5), ("short", "short", "code"))
    assert {reading.labels for reading in readings.values()} == {("short", "code")}
    assert {name: value.values for name, value in readings.items()} == {
        "ttft_s": (1.5, 1.0),
        "prefill_tokens_per_s": (20.0, 3.0),
        "decode_tokens_per_s": (0.5, 2.0),
        "tpot_s": (2.0, 0.5),
        "response_s": (6.0, 2.5),
    }


def test_n_stamps_hold_n_minus_1_intervals():
    assert rate_after_first((1.0, 1.5, 5.0)) == 0.5


def test_an_item_is_stamped_when_it_is_there(stepping_stopwatch):
    """The clock is read once for the start, and once after each item."""
    stepping_stopwatch.now_ns()
    start_ns = stepping_stopwatch.now_ns()  # 1 s
    looked = []

    def items():
        for name in "ab":
            looked.append(stepping_stopwatch.now_ns())  # work that takes a second
            yield name

    assert stamped(items(), stepping_stopwatch, start_ns) == (("a", "b"), (2.0, 4.0))
    assert looked == [2 * 10**9, 4 * 10**9]


@pytest.mark.parametrize("count", [2, 5])
def test_exactly_as_many_tokens_are_generated_as_asked_for_each_with_its_stamp(load_nano, stepping_stopwatch, count):
    """A second passes at each look: the start, the prompt's tokens, then every token."""
    loaded = load_nano("smollm2")
    response = respond(loaded, "short", Prompt(id="p", text="Why?"), count, stepping_stopwatch)
    prompt = mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": "Why?"}])
    assert response.prompt_tokens == len(prompt)
    assert response.tokens == tuple(mlxlm.generate(loaded.model, prompt, count))
    assert response.tokenized_s == 1.0
    assert response.token_s == tuple(float(n + 2) for n in range(count))
