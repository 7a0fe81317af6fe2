"""Find the run that a user names: by id, unique prefix, path, baseline, "latest", or "published:NAME"."""

from collections.abc import Sequence
from pathlib import Path

from harness.errors import BadResultFile, HarnessError, UnknownName
from harness.paths import bundled
from harness.results import baselines
from harness.results.store import RUN_FILE, read_head, run_directories

LATEST = "latest"
PUBLISHED = "published:"  # prefix of a report whose figures ship with the program


def locate(name: str, results_dir: Path) -> Path:
    """Find a run by its id, a unique prefix of it, a path, "latest", or "published:" and the name of a report.

    A baseline is found by its name, and an earlier save of it by NAME@NUMBER. A full name wins over a
    prefix.

    Raises:
        HarnessError: if *name* fits nothing, or more than one run.
    """
    if name.startswith(PUBLISHED):
        return _published(name.removeprefix(PUBLISHED))
    as_path = Path(name)
    if name and is_run(as_path):
        return as_path
    directories = {path.name: path for path in run_directories(results_dir)}
    baseline = baselines.find(results_dir, name)
    if name in directories and baseline is not None:
        raise HarnessError(
            f"{name!r} is a run and a baseline in {results_dir}; give {directories[name]} for the run, "
            f"{baseline} for the baseline"
        )
    if exact := directories.get(name) or baseline:
        return exact
    if name == LATEST and directories:
        return max(directories.values(), key=_started_at)
    matches = [path for run_id, path in directories.items() if name and run_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    known = [*directories, *baselines.names(results_dir)]
    if len(matches) > 1:
        raise UnknownName("run", name, known, f"({results_dir}) More than one begins so.")
    raise UnknownName("run", name, known, _hint(name, results_dir, known))


def _hint(name: str, results_dir: Path, known: Sequence[str]) -> str:
    """Suggest what a user may have meant by an unknown *name*."""
    if name.upper() in {path.stem for path in bundled("published").glob("*.json")}:
        return f"A published report is called {PUBLISHED}{name.upper()}."
    if _is_folder(Path(name)):
        return f"The folder {name} holds no {RUN_FILE}, so it is no run."
    if not known:
        return f"Nothing is stored in {results_dir} yet; measure with: pytest suites/"
    return f"({results_dir}) `tunebench runs` and `tunebench baseline list` list them."


def _published(name: str) -> Path:
    known = {path.stem: path for path in bundled("published").glob("*.json")}
    if name.upper() not in known:
        raise UnknownName("published report", name, known)
    return known[name.upper()]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name longer than any file's
        return False


def is_run(path: Path) -> bool:
    """Return True for a run's directory, and for any file, since it may be a bundle."""
    return _exists(path / RUN_FILE) or _exists(path)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any file's
        return False


def _started_at(directory: Path) -> tuple[str, str]:
    """Sort key of a run's directory: start time, then name. A run that cannot be read counts as the oldest."""
    try:
        return read_head(directory).run.started_at, directory.name
    except BadResultFile:
        return "", directory.name
