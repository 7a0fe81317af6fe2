"""Read every stored run that holds a metric, for the history of that metric.

Baselines count too, since the run that a baseline was saved from may have been deleted.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadResultFile, HarnessError
from harness.report.build import Run
from harness.results import baselines, store
from harness.results.comparison_entry import ComparisonEntry
from harness.results.metrics import define
from harness.results.records import RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRuns:
    """Runs that hold the metric, oldest first, and one message for each file that could not be read.

    *left_out* counts the runs that hold the metric but were measured only for a comparison.
    """

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    left_out: int = 0


def read(results_dir: Path, metric: str, case: str | None = None, *, all_runs: bool = False) -> HistoryRuns:
    """Read from every run what the history of *metric* needs; name each file that cannot be read.

    *case* is a case id or a pattern with *, ? or [. A run and the baseline saved from it count once. Runs measured only
    for a comparison (a side of `ab`, or a repetition that a gate asked for) are left out unless *all_runs* is true.

    Raises:
        UnknownName: if there is no such metric.
        HarnessError: if no run holds it.
    """
    define(metric)
    places, problems = _places(results_dir)
    runs: dict[str, Run] = {}
    left_out: set[str] = set()
    for path in places:
        try:
            stored = store.read_metric(path, metric, case)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        problems += stored.problems
        for bundle in stored.runs:
            if not bundle.records or bundle.run.published is not None:
                continue
            if all_runs or not _serves_a_comparison(bundle.run):
                runs.setdefault(bundle.run.id, Run(path=path, bundle=bundle))
            else:
                left_out.add(bundle.run.id)
    if not runs:
        case_text = f" of {case!r}" if case else ""
        left_out_text = f" but {len(left_out)} that judged something else: --all-runs" if left_out else ""
        advice = "`tunebench runs` lists the runs, `tunebench show RUN` the cases of one"
        raise HarnessError(f"{results_dir}: no stored run holds {metric}{case_text}{left_out_text}; {advice}")
    ordered = sorted(runs.values(), key=lambda run: (run.bundle.run.started_at, run.bundle.run.id))
    return HistoryRuns(runs=tuple(ordered), problems=tuple(problems), left_out=len(left_out))


def _serves_a_comparison(run: RunInfo) -> bool:
    """Return True for a side of `ab` and for a gate's repetition: neither shows the normal state of the code."""
    return ComparisonEntry.from_options(run.options) is not None or "again_of" in run.options


def _places(results_dir: Path) -> tuple[list[Path], list[str]]:
    """List the paths of all runs, then of all baselines; a baseline never holds more than its run."""
    places, problems = list(store.run_directories(results_dir)), []
    for name in baselines.names(results_dir):
        folder = baselines.directory(results_dir, name)
        try:
            places += [folder / saved.file for saved in baselines.kept(folder)]
        except BadResultFile as error:
            problems.append(str(error))
    return places, problems
