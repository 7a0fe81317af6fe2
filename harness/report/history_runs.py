"""Every stored run that holds a metric, for its history: runs, and baselines whose runs are no longer there."""

from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadResultFile, HarnessError
from harness.report.build import Run
from harness.results import baselines, store
from harness.results.comparison_entry import ComparisonEntry
from harness.results.metrics import define
from harness.results.records import RunInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The runs, oldest first, what could not be read, and how many runs were left out though they hold the metric."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    left_out: int = 0


def read(results_dir: Path, metric: str, case: str | None = None, *, every: bool = False) -> Found:
    """Read of every run what the history of *metric* needs; name each file that cannot be read.

    *case* is one, or a pattern with *, ? or [. A run and the baseline it became count once. What was measured to judge
    something else, a side of `ab` or what a gate measured again, is left out unless *every* run is wanted.

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
            found = store.read_metric(path, metric, case)
        except BadResultFile as error:
            problems.append(str(error))
            continue
        problems += found.problems
        for bundle in found.runs:
            if not bundle.records or bundle.run.published is not None:
                continue
            if every or not _for_a_judgement(bundle.run):
                runs.setdefault(bundle.run.id, Run(path=path, bundle=bundle))
            else:
                left_out.add(bundle.run.id)
    if not runs:
        of = f" of {case!r}" if case else ""
        but = f" but {len(left_out)} that judged something else: --all-runs" if left_out else ""
        told = "`tunebench runs` lists the runs, `tunebench show RUN` the cases of one"
        raise HarnessError(f"{results_dir}: no stored run holds {metric}{of}{but}; {told}")
    ordered = sorted(runs.values(), key=lambda run: (run.bundle.run.started_at, run.bundle.run.id))
    return Found(runs=tuple(ordered), problems=tuple(problems), left_out=len(left_out))


def _for_a_judgement(run: RunInfo) -> bool:
    """Whether it is a side of a comparison, or a gate's second look: neither is the state of the day."""
    return ComparisonEntry.from_options(run.options) is not None or "again_of" in run.options


def _places(results_dir: Path) -> tuple[list[Path], list[str]]:
    """Runs first: what a baseline holds of one is the same, or less."""
    places, problems = list(store.run_directories(results_dir)), []
    for name in baselines.names(results_dir):
        its = baselines.directory(results_dir, name)
        try:
            places += [its / one.file for one in baselines.kept(its)]
        except BadResultFile as error:
            problems.append(str(error))
    return places, problems
