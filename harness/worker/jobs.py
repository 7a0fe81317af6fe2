"""Dispatch of a job to the function that does it. Imported only in a worker, after the BLAS is loaded."""

from collections.abc import Callable
from dataclasses import replace

from harness.inputs.plans import Job, Work
from harness.inputs.protocol import Message
from harness.machine import environment
from harness.machine.clock import Stopwatch
from harness.machine.memory import physical_bytes
from harness.results.codec import plain
from harness.results.records import Environment, Sample
from harness.worker import mlxlm, probe, weights
from harness.worker.blas_shim import Blas
from harness.worker.workloads import adapter_fit, count_parameters, evaluation, inference, training
from harness.worker.workloads.context import Context

_WORKLOADS: dict[Work, Callable[[Context], Sample]] = {
    Work.TRAINING: training.measure,
    Work.EVALUATION: evaluation.measure,
    Work.INFERENCE: inference.measure,
}


def run_job(job: Job, blas: Blas, progress: Callable[[int, int, str], None]) -> Message:
    """Run *job* and return its result: the last hop of a job before its workload (`measure`, `count_all`, ...)."""
    if job.work in _WORKLOADS:
        context = Context(job=job, device=device_name(), progress=progress)
        if (problem := probe.self_check()["problem"]) is not None:
            context.doubts.append(problem)
        sample = _WORKLOADS[job.work](context)
        context.doubts += context.memory.doubts(physical_bytes(), probe.device_memory_bytes())
        return Message(sample=replace(sample, invalid="; ".join(context.doubts) or None))
    if job.work is Work.COUNT:
        return Message(facts=count_parameters.count_all(job.models, job.adapter))
    if job.work is Work.ENVIRONMENT:
        return Message(environment=_environment(blas))
    assert job.work is Work.PREPARE, f"nobody does {job.work!r}"
    assert job.model is not None, "this job is about a model"
    ready = weights.prepare(job.model, job.source, job.quantization)
    adapter_fit.check(ready, job.trials)
    return Message(ready=ready)


def device_name() -> str:
    """Return type and name of the device as one text, as stored in a record's key."""
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
