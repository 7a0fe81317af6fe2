"""How long reports take: one run, fifty runs of it, and a training of 15,000 iterations against a short one.

    python benchmarks/reports.py results/RUN

RUN has a training case; with three models it is the run of `tox -e bench`. Every line is a `tunebench report --kind all
--format md,html` in a process of its own, import and figures included. Wanted: 8 s, 20 s, 1 s more than the short one.
"""

import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.results import store
from harness.results.records import Bundle, Kind, Record, Series

_RUNS, _RECORDS = 50, 1000
_LONG, _SHORT, _SPIKE = 15_000, 20, 1000  # iterations


def main(run: Path) -> None:
    """Measure, and print a line a measurement."""
    bundle = store.read_run(run)
    training = next(record for record in bundle.records if record.suite == "training" and "train_loss" in record.series)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        print(f"{len(bundle.records)} records of one run: {_report_s([run], place):.1f} s")
        several = [_written(place, _again(bundle, number)) for number in range(_RUNS)]
        count = sum(1 for path in several for _ in path.glob("*+*.json"))
        print(f"{count} records of {_RUNS} runs: {_report_s(several, place):.1f} s")
        lengths = [
            _written(
                place,
                replace(
                    bundle, run=replace(bundle.run, id=f"of-{iterations}"), records=(_lengthened(training, iterations),)
                ),
            )
            for iterations in (_SHORT, _LONG)
        ]
        for attempt in range(3):
            short, long = (_report_s([path], place) for path in lengths)
            print(f"{_LONG} iterations, attempt {attempt + 1}: {long:.1f} s, {long - short:.2f} s more than {_SHORT}")


def _report_s(runs: Sequence[Path], place: Path) -> float:
    command = [sys.executable, "-m", "harness", "report", *map(str, runs), "--kind", "all", "--format", "md,html"]
    start = time.perf_counter()
    subprocess.run([*command, "-o", str(place / "out")], check=True, capture_output=True)
    return time.perf_counter() - start


def _again(bundle: Bundle, number: int) -> Bundle:
    """The run with so many records that all runs have a thousand, its timings varied by 3 %, five processes each."""
    draw = random.Random(number)  # noqa: S311 - noise
    records = list(bundle.records)
    while len(records) < _RECORDS // _RUNS:
        extra = records[len(records) - len(bundle.records)]
        records.append(replace(extra, case=f"{extra.case}-{len(records)}"))
    varied = tuple(replace(record, metrics=_varied(record, draw)) for record in records[: _RECORDS // _RUNS])
    return replace(bundle, run=replace(bundle.run, id=f"run-{number}"), records=varied)


def _varied(record: Record, draw: random.Random) -> dict[str, object]:
    return {
        name: replace(
            metric,
            samples=tuple(
                tuple(value * draw.lognormvariate(0, 0.03) for value in process)
                for process in metric.samples
                for _ in range(5)
            ),
        )
        if metric.samples and metric.kind is Kind.TIMING
        else metric
        for name, metric in record.metrics.items()
    }


def _lengthened(record: Record, iterations: int) -> Record:
    """The training with series of so many iterations; its losses fall, spike at 1,000 and fall again."""
    draw = random.Random(1)  # noqa: S311 - noise
    x = tuple(map(float, range(1, iterations + 1)))
    series = {}
    for name, points in record.series.items():
        at = x if not name.endswith("val_loss") else tuple(map(float, range(0, iterations + 1, 100)))
        y = [
            _loss(i) * draw.lognormvariate(0, 0.08) if points.unit == "nat/token" else points.y[int(i) % len(points.y)]
            for i in at
        ]
        series[name] = Series(unit=points.unit, x_unit=points.x_unit, x=at, y=tuple(y))
    return replace(record, series=series)


def _loss(iteration: float) -> float:
    falling = 0.1 + 2.9 * math.exp(-iteration / 200)
    return falling if iteration < _SPIKE else 0.09 + 5.9 * math.exp((_SPIKE - iteration) / 600)


def _written(place: Path, bundle: Bundle) -> Path:
    directory = place / bundle.run.id
    store.write_run(directory, bundle.run, bundle.environment)
    for record in bundle.records:
        store.write_record(directory, bundle.run.id, record)
    return directory


if __name__ == "__main__":
    main(Path(sys.argv[1]))
