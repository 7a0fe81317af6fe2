"""Checks a stored run of smollm2 against counts and sums made by other means.

Token, row and byte counts: from the data files and the tokenizer alone. Decode rates: from the raw intervals. The
peak footprint: from `/usr/bin/time -v` (its figure is the kernel's, and the kernel forgets it at each reset, so that
worker runs without resets).

    python benchmarks/counts.py RUN
"""

import json
import re
import subprocess
import sys
import tempfile
from math import fsum, isclose
from pathlib import Path

from transformers import AutoTokenizer

from harness.inputs.config_files import read_adapter, read_model, read_profile
from harness.inputs.plans import Job
from harness.results import codec
from harness.results.locate import locate
from harness.results.records import Record
from harness.results.store import read_run
from harness.session.worker_requests import fetch

ROOT = Path(__file__).parents[1]
WORKER_WITHOUT_RESETS = """
import sys
from harness.machine import memory
memory._RESET_PEAK = "1"
from harness.worker.main import main
sys.exit(main(sys.argv))
"""


def check_counts(record: Record, directory: str) -> int:
    """Every step's counts are those of one batch of the data, no batch twice in an epoch."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    rows = []
    for line in (ROOT / "fixtures/data/aphorisms/train.jsonl").read_text().splitlines():
        messages = json.loads(line)["messages"]
        tokens = tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False).input_ids
        rows.append((len(tokens), sum(len(message["content"].encode()) for message in messages)))
    batches = []
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        longest = max(first[0], second[0])
        width = 32 * ((longest + 31) // 32)
        real, text = first[0] + second[0], first[1] + second[1]
        batches.append((2, real, real - 2, 2 * width, text))
    names = ("rows", "real_tokens", "loss_tokens", "padded_tokens", "text_bytes")
    left = list(batches)
    for step in zip(*(record.series[name].y for name in names), strict=True):
        left.remove(tuple(map(int, step)))  # fails if there is no such batch, or it was taken already
    return len(batches) - len(left)


def check_decode(record: Record) -> int:
    """Every decode rate is that of the raw intervals of its answer."""
    rates, intervals = record.metrics["decode_tokens_per_s"], record.metrics["itl_s"]
    size = record.key.settings["output_tokens"] - 1
    count = 0
    for process, raw in zip(rates.samples, intervals.samples, strict=True):
        assert len(raw) == size * len(process)
        for number, rate in enumerate(process):
            piece = raw[number * size : (number + 1) * size]
            assert isclose(rate, size / fsum(piece), rel_tol=1e-6), (rate, size / fsum(piece))
            count += 1
    return count


def footprint_by_time(directory_job: Job) -> int:
    """The highest resident set of a worker that does the same training, as the kernel tells `time`."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "time"
        command = ["/usr/bin/time", "-v", "-o", str(out), sys.executable, "-c", WORKER_WITHOUT_RESETS, "2"]
        worker = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        worker.stdin.write(codec.encode(directory_job) + b"\n")
        worker.stdin.flush()  # and stay open: its end would end the worker
        worker.wait()
        return 1024 * int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", out.read_text())[1])


def main() -> None:
    """Check one run; print what was compared."""
    results = Path("results")
    bundle = read_run(locate(sys.argv[1], results))
    records = {record.case: record for record in bundle.records}
    training = records["training/smollm2/qv-r8"]
    ready = fetch(read_model("smollm2"), "embedded")
    print(f"counts: {check_counts(training, ready.directory)} steps equal to a batch counted apart")
    speed = [record for record in bundle.records if record.suite == "inference"]
    print(f"decode rates: {sum(map(check_decode, speed))} equal to those of the raw intervals")
    profile = read_profile(bundle.run.profile)
    job = Job(work="training", ready=ready, adapter=read_adapter("qv-r8"), profile=profile)
    metric = training.metrics["peak_footprint_bytes"]
    ours, theirs = metric.parts()["process"][0][0], footprint_by_time(job)
    print(f"peak footprint: ours {ours / 2**20:.1f} MiB, time's {theirs / 2**20:.1f} MiB, ratio {ours / theirs:.4f}")


if __name__ == "__main__":
    main()
