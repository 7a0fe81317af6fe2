"""Inference workload: time loading, the first token, prefill and decoding, by scenario, context depth and batch size.

Speed is measured on a fixed number of tokens; the end of a turn is ignored, so that no model looks fast by
answering briefly. A result that is impossible for a working model or this machine becomes a doubt.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.analysis.judge import STAND_INS
from harness.inputs.model_dir import drop_from_page_cache, weight_files
from harness.inputs.prompts import SCENARIOS, Prompt, read_prompts
from harness.results.records import Output, Readings, Sample
from harness.worker import mlxlm
from harness.worker.workloads.context import Context
from harness.worker.workloads.resource_usage import Gauges, doubt_about, mbu, usage_readings
from harness.worker.workloads.response import Response, respond, response_readings, tokens_of
from harness.worker.workloads.scaling import batch_scaling, context_scaling

NO_FILES = Readings(values=(), reason="random weights are drawn in memory: there is no file to load")
_Planned = Sequence[tuple[str, Prompt]]  # scenario and prompt


def measure(context: Context) -> Sample:
    """Load twice, warm up, answer every scenario, repeat one prompt, then vary context depth and batch size."""
    loaded, adapter, load_s = _load(context)
    plan = context.profile.inference
    copy_bytes_per_s = context.roof(loaded).copy_bytes_per_s
    scenarios = {name: read_prompts(name)[: plan.prompts_per_scenario] for name in SCENARIOS}
    planned = [(name, prompt) for name, prompts in scenarios.items() for prompt in prompts]
    _warm_up(context, loaded, [prompts[0] for prompts in scenarios.values()])
    responses, used = _answer(context, loaded, planned)
    share = mbu(responses, mlxlm.shape_of(loaded.model), copy_bytes_per_s)
    repeated = [
        respond(loaded, *planned[0], plan.output_tokens, context.stopwatch) for _ in range(plan.stability_repeats)
    ]
    with context.memory.phase("context"):
        by_depth, left_out = context_scaling(context, loaded)
    with context.memory.phase("batch"):
        by_batch = batch_scaling(context, loaded)
    notes = _look_for_faults(context, responses, share)
    settings = {
        "output_tokens": plan.output_tokens,
        "prompts_per_scenario": plan.prompts_per_scenario,
        "warmup_prompts": plan.warmup_prompts,
        "context_tokens": plan.context_tokens,
        "sampling": "greedy",
        "ignore_eos": True,
    }
    return Sample(
        key=context.key(loaded, adapter=adapter, dataset=None, settings=settings),
        readings={
            **response_readings(responses),
            "repeat_decode_tokens_per_s": Readings(values=tuple(response.decode_tokens_per_s for response in repeated)),
            **by_depth,
            "batch_decode_tokens_per_s": by_batch,
            **used,
            "mbu": share,
            **context.readings(),
            "load_s": load_s,
            "disk_bytes": _disk_bytes(context),
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
        notes=(*left_out, *notes),
    )


def _load(context: Context) -> tuple[mlxlm.Loaded, dict[str, Any] | None, Readings]:
    """Load the model cold, if the system allows it, then warm; with the adapter if the case has one."""
    times = {}
    reason = None
    if context.ready.weights.source == "random":
        with context.memory.phase("load"):
            return *context.load_with_adapter(), NO_FILES
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


def _disk_bytes(context: Context) -> Readings:
    weights = context.ready.weights
    if weights.source == "random":
        return NO_FILES
    assert weights.bytes is not None, "files on this machine have a size"
    return Readings(values=(float(weights.bytes),))


def _warm_up(context: Context, loaded: mlxlm.Loaded, prompts: Sequence[Prompt]) -> None:
    """Answer the planned warm-up prompts and check the first one's logits: NaN decodes as fast as numbers do."""
    plan = context.profile.inference
    for prompt in itertools.islice(itertools.cycle(prompts), plan.warmup_prompts):
        respond(loaded, "warm-up", prompt, plan.output_tokens, context.stopwatch)
    if not mlxlm.logits_are_finite(loaded.model, tokens_of(loaded, prompts[0])):
        context.doubts.append("the logits of the first prompt are not all finite numbers: its answers mean nothing")


def _answer(context: Context, loaded: mlxlm.Loaded, planned: _Planned) -> tuple[list[Response], dict[str, Readings]]:
    """Answer every prompt once; return the responses and the machine's usage meanwhile."""
    output_tokens = context.profile.inference.output_tokens
    responses: list[Response] = []
    with context.memory.phase("generate"):
        start = _gauges(context)
        for number, (name, prompt) in enumerate(planned, start=1):
            responses.append(respond(loaded, name, prompt, output_tokens, context.stopwatch))
            context.progress(number, len(planned), f"{responses[-1].decode_tokens_per_s:.1f} token/s")
            context.energy.joules()  # a counter that wraps has to be read often enough
        end = _gauges(context)
    tokens = sum(len(response.tokens) for response in responses)
    return responses, usage_readings(start, end, tokens, context.energy.reason or "the energy meter fell silent")


def _gauges(context: Context) -> Gauges:
    stopwatch = context.stopwatch
    stopwatch.wait()
    return Gauges(wall_ns=stopwatch.now_ns(), cpu_ns=stopwatch.cpu_ns(), joules=context.energy.joules())


def _look_for_faults(context: Context, responses: Sequence[Response], share: Readings) -> tuple[str, ...]:
    """Add the doubts that the answers raise; return notes on what is doubtful only with real weights."""
    if doubt := doubt_about(share):
        context.doubts.append(doubt)
    distinct_tokens = {token for response in responses for token in response.tokens}
    if len(distinct_tokens) > 1:
        return ()
    constant = f"every answer consists of one token alone, {distinct_tokens.pop()}"
    if context.ready.weights.source in STAND_INS:
        return (f"{constant}: random weights may do so",)
    context.doubts.append(f"{constant}: the output is degenerate")
    return ()
