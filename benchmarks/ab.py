"""How often `tunebench ab` is right: calls without a difference, and calls with a slowdown injected into decoding.

Every call compares two sides of one and the same installation on a stand-in, with a seed of its own for the order
within the pairs. In calls with a slowdown, side B decodes so many percent slower (benchmarks/slowed). Right is: no
regression without one; with one, a regression of a metric that decoding is part of. How many calls found it in the
required headline itself, decode_tokens_per_s over all scenarios, is a column of its own. Each call's result is a line
of a JSON Lines file; calls that it holds already are not made again.

    python benchmarks/ab.py [--same 30] [--slowed 10] [--percent 5] [--pairs 30] [--log benchmarks/ab.jsonl]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.gate import decide, policy_file
from harness.gate.verdicts import GateVerdict
from harness.results import store
from harness.results.comparison_entry import ComparisonEntry

ROOT = Path(__file__).parents[1]
MEASURED = ["suites/inference", "--models", "tinyllama", "--weights", "embedded", "-k", "base"]
HEADLINE = "decode_tokens_per_s"  # the title of the required row; a scenario's has the scenario behind it
DECODING = ("decode", "tpot_s", "itl_s", "response_s")  # in the names of what a slower decoding makes worse
VERDICTS = {0: "pass or improved", 1: "regression", 2: "refused", 3: "cannot judge"}
Call = dict[str, Any]


def call(percent: float, seed: int, pairs: int) -> Call:
    """Make one comparison; what came of it."""
    path = os.pathsep.join([str(ROOT / "benchmarks" / "slowed"), *filter(None, [os.environ.get("PYTHONPATH")])])
    b = f"env:TUNEBENCH_SLOWED={percent:g}" if percent else "same"
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "harness", "ab", "same", b, "--pairs", str(pairs), "--seed", str(seed)]
        start = time.monotonic()
        done = subprocess.run(
            [*command, "--results-dir", results, "--", *MEASURED],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        call: Call = {"percent": percent, "seed": seed, "pairs": pairs, "wall_s": round(time.monotonic() - start, 1)}
        call["exit_code"] = done.returncode
        if done.returncode not in {0, 1, 3}:
            return call | {"message": done.stderr[-2000:]}
        return call | _found(Path(results))


def _found(results: Path) -> Call:
    """What the two stored runs say."""
    a, b = (store.read_run(path) for path in sorted(results.iterdir()))
    result = decide.gate(a, b, policy_file.read_gate_policy(), today=a.run.started_at)
    worse = [row.title for row in result.rows if row.verdict is GateVerdict.REGRESSION]
    entry = ComparisonEntry.from_options(b.run.options)
    assert entry is not None, "a side of a comparison says so"
    process_s = statistics.median(sample for sample in _process_s(a))
    return {
        "verdict": result.verdict.value,
        "regressions": worse,
        "measured_pairs": max(entry.pairs.values()),
        "ended": entry.ended,
        "process_s": process_s,
    }


def _process_s(bundle: Any) -> list[float]:
    """Seconds a process of each case of a run took, on average."""
    return [record.wall_s / record.processes for record in bundle.records]


def right(call: Call) -> bool:
    """Whether a call said what is so."""
    if call["percent"]:
        return call["exit_code"] == 1 and any(name in title for title in call["regressions"] for name in DECODING)
    return call["exit_code"] in {0, 3} and not call["regressions"]


def table(calls: list[Call]) -> str:
    """One row a slowdown."""
    rows = []
    for percent in sorted({call["percent"] for call in calls}):
        alike = [call for call in calls if call["percent"] == percent]
        measured = [call["measured_pairs"] for call in alike if "measured_pairs" in call]
        rows.append(
            {
                "slowdown": f"{percent:g} %",
                "calls": len(alike),
                **{name: sum(call["exit_code"] == code for call in alike) for code, name in VERDICTS.items()},
                "right": sum(map(right, alike)),
                f"regression of {HEADLINE}": sum(HEADLINE in call.get("regressions", ()) for call in alike),
                "pairs, mean": f"{statistics.mean(measured):.1f}" if measured else "",
                "wall, median": f"{statistics.median(call['wall_s'] for call in alike):.0f} s",
            }
        )
    return str(tabulate(rows, headers="keys"))


def main() -> None:
    """Make the calls that are missing; print the table; exit with 1 if too many were wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--same", type=int, default=30, help="calls without a difference")
    parser.add_argument("--slowed", type=int, default=10, help="calls with one")
    parser.add_argument("--percent", type=float, default=5.0)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--log", type=Path, default=ROOT / "benchmarks" / "ab.jsonl")
    options = parser.parse_args()
    combinations = [(0.0, seed) for seed in range(options.same)] + [
        (options.percent, seed) for seed in range(options.slowed)
    ]
    calls = [json.loads(line) for line in options.log.read_text().splitlines()] if options.log.exists() else []
    calls = [call for call in calls if call["pairs"] == options.pairs]
    made = {(call["percent"], call["seed"]) for call in calls}
    for percent, seed in combinations:
        if (percent, seed) in made:
            continue
        calls.append(call(percent, seed, options.pairs))
        with options.log.open("a") as log:
            log.write(json.dumps(calls[-1]) + "\n")
        print(json.dumps(calls[-1]), flush=True)
    chosen = [call for call in calls if (call["percent"], call["seed"]) in combinations]
    print(table(chosen))
    false_alarms = sum(not right(call) for call in chosen if not call["percent"])
    missed = sum(not right(call) for call in chosen if call["percent"])
    print(f"{false_alarms} false alarms in {options.same} calls; {missed} of {options.slowed} slowdowns missed")
    sys.exit(bool(false_alarms) or missed > options.slowed / 10)


if __name__ == "__main__":
    main()
