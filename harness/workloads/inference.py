"""Times loading, the first token, prefill and decoding, by scenario.

Every time stamp is taken on an evaluated token. For speed a fixed number of tokens is generated and
the end of a turn is ignored, so that no model looks fast by saying little.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import mlxlm
from harness.meters import Stopwatch
from harness.modeldir import drop_from_page_cache, weight_files
from harness.records import Output, Readings, Sample
from harness.texts import SCENARIOS, Prompt, read_prompts
from harness.workloads.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer and its time stamps, in seconds since the prompt was handed over as text."""

    scenario: str
    prompt_tokens: int
    tokens: tuple[int, ...]
    tokenised_s: float
    token_s: tuple[float, ...]  # when each token was there

    @property
    def ttft_s(self) -> float:
        """From the prompt's tokens to the first token."""
        return self.token_s[0] - self.tokenised_s

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens over the time to the first token."""
        return self.prompt_tokens / self.ttft_s

    @property
    def decode_tokens_per_s(self) -> float:
        """The tokens after the first over the time they took: n - 1 intervals for n tokens."""
        return (len(self.tokens) - 1) / (self.token_s[-1] - self.token_s[0])

    @property
    def response_s(self) -> float:
        """From the prompt's text to the last token."""
        return self.token_s[-1]


def measure(context: Context) -> Sample:
    """Load twice, warm up, then answer the prompts of every scenario."""
    loaded, adapter, load_s = _load(context)
    profile = context.profile
    scenarios = {name: read_prompts(name)[: profile.prompts_per_scenario] for name in SCENARIOS}
    firsts = itertools.cycle(prompts[0] for prompts in scenarios.values())
    planned = [(name, prompt) for name, prompts in scenarios.items() for prompt in prompts]
    for prompt in itertools.islice(firsts, profile.warmup_prompts):
        respond(loaded, "warm-up", prompt, profile.output_tokens, context.stopwatch)
    responses = []
    with context.memory.phase("generate"):
        for number, (name, prompt) in enumerate(planned, start=1):
            responses.append(respond(loaded, name, prompt, profile.output_tokens, context.stopwatch))
            context.progress(number, len(planned), f"{responses[-1].decode_tokens_per_s:.1f} token/s")
    settings = {
        "output_tokens": profile.output_tokens,
        "prompts_per_scenario": profile.prompts_per_scenario,
        "warmup_prompts": profile.warmup_prompts,
        "sampling": "greedy",
        "ignore_eos": True,
    }
    return Sample(
        key=context.key(loaded, adapter=adapter, dataset=None, settings=settings),
        readings={
            **response_readings(responses),
            **context.memory.readings(),
            "load_s": load_s,
            "disk_bytes": Readings(values=(float(context.ready.weights.bytes),)),
        },
        outputs=tuple(
            Output(
                prompt_id=prompt.id,
                prompt=prompt.text,
                text=loaded.tokenizer.decode(response.tokens),
                finish_reason="length",
                prompt_tokens=response.prompt_tokens,
                output_tokens=len(response.tokens),
            )
            for (_, prompt), response in zip(planned, responses, strict=True)
        ),
    )


def _load(context: Context) -> tuple[mlxlm.Loaded, dict[str, Any] | None, Readings]:
    """Load the model cold, if the system lets us, and then warm; with the adapter, where the case has one."""
    times = {}
    reason = None
    if drop_from_page_cache(weight_files(Path(context.ready.directory))):
        times["cold"] = context.stopwatch.time_s(context.load_with_adapter)
    else:
        reason = "cold: this system does not let a process drop files from the page cache"
        context.load_with_adapter()
    kept = []
    with context.memory.phase("load"):
        times["warm"] = context.stopwatch.time_s(lambda: kept.append(context.load_with_adapter()))
    loaded, adapter = kept[0]
    return loaded, adapter, Readings(values=tuple(times.values()), labels=tuple(times), reason=reason)


def respond(loaded: mlxlm.Loaded, scenario: str, prompt: Prompt, tokens: int, stopwatch: Stopwatch) -> Response:
    """Answer one prompt with exactly *tokens* tokens, noting when each was there."""
    stopwatch.wait()
    start_ns = stopwatch.now_ns()
    prompt_tokens = mlxlm.prompt_tokens(loaded.tokenizer, [{"role": "user", "content": prompt.text}])
    tokenised_ns = stopwatch.now_ns()
    generated, stamps = [], []
    for token in itertools.islice(mlxlm.generate(loaded.model, prompt_tokens, tokens), tokens):
        generated.append(token)
        stamps.append((stopwatch.now_ns() - start_ns) / 1e9)
    return Response(
        scenario=scenario,
        prompt_tokens=len(prompt_tokens),
        tokens=tuple(generated),
        tokenised_s=(tokenised_ns - start_ns) / 1e9,
        token_s=tuple(stamps),
    )


def response_readings(responses: Sequence[Response]) -> dict[str, Readings]:
    """One reading a response and metric, labelled with its scenario."""
    labels = tuple(response.scenario for response in responses)
    return {
        name: Readings(values=tuple(getattr(response, name) for response in responses), labels=labels)
        for name in ("ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s", "response_s")
    }
