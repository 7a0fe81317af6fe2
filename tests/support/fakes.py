"""Fake worker processes that answer at once, for tests of the code that starts them."""

from dataclasses import replace
from pathlib import Path

from harness.inputs.plans import ReadyModel
from harness.inputs.protocol import Failure, Message, Progress
from harness.results.records import Environment, Key, Output, Readings, Sample, Series, Status, Weights

WEIGHTS = Weights(source="nano", sha256="ab" * 32, bytes=1000)
ENVIRONMENT = Environment(
    device={"name": "cpu: fake", "type": "cpu"},
    os={"system": "Linux", "memory_bytes": 2**30},
    packages={"mlx": "0.32.4"},
    blas={"library": "stock", "fast": False, "problem": "no C compiler found"},
    roofline={"gemm_flops_per_s": 1e9, "numpy_gemm_flops_per_s": 2e9, "copy_bytes_per_s": 1e9},
    power={"load_average_1min": 0.5},
    compiler=None,
)


def reading(*values, labels=None):
    return Readings(values=values, labels=labels)


def sample(job):
    """Return a sample that passes the assertions of the suites, for any job."""
    settings = {"iters": 2, "prompts": 1, "output_tokens": 3}
    key = Key(
        model=job.ready.config.name,
        weights=WEIGHTS,
        tokenizer="cd" * 32,
        dtype="float32",
        quantization=None,
        adapter={"name": job.adapter.name} if job.adapter else None,
        dataset=None,
        device="cpu: fake",
        settings=settings,
    )
    names = ("train_loss", "trainer_loss", "step_s", "loss_tokens", "real_tokens", "padded_tokens")
    steps = dict.fromkeys(names, (3.0, 2.0))
    series = {name: Series(unit="1", x_unit="iteration", x=(1.0, 2.0), y=y) for name, y in steps.items()}
    series["val_loss"] = Series(unit="1", x_unit="iteration", x=(0.0, 2.0), y=(3.0, 2.0))
    readings = {
        "train_tokens_per_s": reading(100.0),
        "train_wall_s": reading(6.0),
        "wall_part_s": reading(5.0, 1.0, labels=("steady", "other")),
        "test_loss": reading(1.0),
        "test_perplexity": reading(2.718281828459045),
        "ttft_s": reading(0.5, labels=("short",)),
        "response_s": reading(1.5, labels=("short",)),
        "itl_s": reading(0.4, 0.6, labels=("short", "short")),
        "tpot_s": reading(0.5, labels=("short",)),
        "decode_tokens_per_s": reading(2.0, labels=("short",)),
    }
    output = Output(
        prompt_id="p", prompt="Why?", text="Because.", finish_reason="stop", prompt_tokens=2, output_tokens=3
    )
    return Sample(key=key, readings=readings, series=series, outputs=(output,), data={"train": {"rows": 2}})


class FakeWorkers:
    """Replacement of `worker_process.run`. *fail* maps a suite to the failures with which its next processes end."""

    def __init__(self, **fail):
        self.jobs = []
        self._fail = {suite: list(failures) for suite, failures in fail.items()}

    def __call__(self, job, *, log, timeout_s, on_progress, memory_limit_bytes=None):
        self.jobs.append(job)
        if self._fail.get(job.work):
            status, reason = self._fail[job.work].pop(0)
            return Message(failure=Failure(status=Status(status), reason=reason))
        if job.work == "environment":
            return Message(environment=ENVIRONMENT)
        if job.work == "prepare":
            warnings = (f"{job.model.name}: stand-in weights",)
            return Message(
                ready=ReadyModel(
                    config=job.model, directory="/models/x", weights=WEIGHTS, tokenizer="cd" * 32, warnings=warnings
                )
            )
        on_progress(Progress(done=1, total=2, text="train loss 3.0"))
        if job.adapter_dir and job.work == "training":
            (Path(job.adapter_dir) / "final").mkdir(parents=True, exist_ok=True)
        return Message(sample=sample(job))

    @property
    def work(self):
        return [job.work for job in self.jobs]


class SlowedWorkers(FakeWorkers):
    """Trains at half the speed in the first *slow* processes, as a machine does that is busy for a while."""

    def __init__(self, slow):
        super().__init__()
        self._slow = slow

    def __call__(self, job, **others):
        message = super().__call__(job, **others)
        if job.work != "training" or self._slow == 0:
            return message
        self._slow -= 1
        readings = message.sample.readings | {"train_tokens_per_s": reading(50.0)}
        return replace(message, sample=replace(message.sample, readings=readings))
