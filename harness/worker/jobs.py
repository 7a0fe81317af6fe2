"""Which function does which job. Imported in a worker only, after the BLAS is loaded."""

from collections.abc import Callable
from dataclasses import replace

from harness.inputs.plans import Job
from harness.inputs.protocol import Message
from harness.machine import environment
from harness.machine.clock import Stopwatch
from harness.machine.memory import physical_bytes
from harness.results.codec import plain
from harness.results.records import Environment, Sample
from harness.worker import mlxlm, probe, weights
from harness.worker.blas import Blas
from harness.worker.workloads import adapter_fit, evaluation, inference, parameters, training
from harness.worker.workloads.context import Context, Diverged

DIVERGED = Diverged
_MEASURED: dict[str, Callable[[Context], Sample]] = {
    "training": training.measure,
    "evaluation": evaluation.measure,
    "inference": inference.measure,
}


def do(job: Job, blas: Blas, progress: Callable[[int, int, str], None]) -> Message:
    """Do *job* and give its result."""
    if job.work in _MEASURED:
        context = Context(job=job, device=device_name(), progress=progress)
        if (problem := probe.self_check()["problem"]) is not None:
            context.doubts.append(problem)
        sample = _MEASURED[job.work](context)
        context.doubts += context.memory.doubts(physical_bytes(), probe.device_memory_bytes())
        return Message(sample=replace(sample, invalid="; ".join(context.doubts) or None))
    if job.work == "count":
        return Message(facts=parameters.count_all(job.models, job.adapter))
    if job.work == "environment":
        return Message(environment=_environment(blas))
    assert job.work == "prepare", f"nobody does {job.work!r}"
    assert job.model is not None, "this job is about a model"
    ready = weights.prepare(job.model, job.source, job.quantization)
    adapter_fit.check(ready, job.trials)
    return Message(ready=ready)


def device_name() -> str:
    """The device as one text: what a record's key holds."""
    facts = probe.device()
    return f"{facts['type']}: {facts.get('device_name') or facts.get('architecture') or 'unknown'}"


def _environment(blas: Blas) -> Environment:
    power = environment.load_and_power()  # first: what follows loads the machine itself
    return Environment(
        device={"name": device_name(), **probe.device()},
        os=environment.operating_system(),
        packages=environment.packages(),
        blas=plain(blas),
        roofline=probe.roofline(Stopwatch(wait=mlxlm.wait_for_device)),
        power=power,
        compiler=environment.compiler(),
        self_check=probe.self_check(),
        code=environment.measured_code(),
    )
