"""Answers with a time stamp per token, and the rates computed from them. Each stamp follows an evaluated token."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.inputs.prompts import Prompt
from harness.machine.clock import Stopwatch
from harness.results.records import Readings
from harness.worker import mlxlm

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer and its time stamps, in seconds since the prompt was handed over as text."""

    scenario: str
    prompt_tokens: int
    tokens: tuple[int, ...]
    tokenized_s: float
    token_s: tuple[float, ...]  # time at which each token was evaluated

    @property
    def ttft_s(self) -> float:
        """Seconds from the tokenized prompt to the first token."""
        return self.token_s[0] - self.tokenized_s

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens over the time to the first token."""
        return self.prompt_tokens / self.ttft_s

    @property
    def itl_s(self) -> tuple[float, ...]:
        """Seconds from each token to the next: n - 1 intervals for n tokens."""
        return tuple(later - earlier for earlier, later in itertools.pairwise(self.token_s))

    @property
    def tpot_s(self) -> float:
        """Mean seconds between tokens."""
        return (self.token_s[-1] - self.token_s[0]) / (len(self.token_s) - 1)

    @property
    def decode_tokens_per_s(self) -> float:
        """Tokens after the first, per second."""
        return rate_after_first(self.token_s)

    @property
    def response_s(self) -> float:
        """Seconds from the prompt's text to the last token."""
        return self.token_s[-1]


def rate_after_first(token_s: Sequence[float]) -> float:
    """Return tokens per second from the first stamp to the last: n - 1 intervals for n stamps."""
    return (len(token_s) - 1) / (token_s[-1] - token_s[0])


def stamped(items: Iterable[_T], stopwatch: Stopwatch, start_ns: int) -> tuple[tuple[_T, ...], tuple[float, ...]]:
    """Consume *items* and return them with the seconds after *start_ns* at which each one came."""
    pairs = [(item, (stopwatch.now_ns() - start_ns) / 1e9) for item in items]
    return tuple(item for item, _ in pairs), tuple(at_s for _, at_s in pairs)


def respond(loaded: mlxlm.Loaded, scenario: str, prompt: Prompt, tokens: int, stopwatch: Stopwatch) -> Response:
    """Answer one prompt with exactly *tokens* tokens, and stamp the time of each."""
    stopwatch.wait()
    start_ns = stopwatch.now_ns()
    prompt_tokens = tokens_of(loaded, prompt)
    tokenized_ns = stopwatch.now_ns()
    generated, token_s = stamped(mlxlm.generate(loaded.model, prompt_tokens, tokens), stopwatch, start_ns)
    return Response(
        scenario=scenario,
        prompt_tokens=len(prompt_tokens),
        tokens=generated,
        tokenized_s=(tokenized_ns - start_ns) / 1e9,
        token_s=token_s,
    )


def tokens_of(loaded: mlxlm.Loaded, prompt: Prompt) -> Sequence[int]:
    """Return the tokens of *prompt* as a user turn in the model's chat template."""
    return mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": prompt.text}])


def response_readings(responses: Sequence[Response]) -> dict[str, Readings]:
    """Return a reading per response and metric, and one per interval between tokens, labeled with the scenario."""
    labels = tuple(response.scenario for response in responses)
    names = ("ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "tpot_s", "response_s")
    intervals = [(interval, response.scenario) for response in responses for interval in response.itl_s]
    return {
        **{
            name: Readings(values=tuple(getattr(response, name) for response in responses), labels=labels)
            for name in names
        },
        "itl_s": Readings(values=tuple(s for s, _ in intervals), labels=tuple(label for _, label in intervals)),
    }
