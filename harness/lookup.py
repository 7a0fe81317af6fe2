"""From what a user types to a run on disk: an id, a unique prefix of one, a path, or "latest"."""

from pathlib import Path

from harness.errors import BadResultFile, UnknownName
from harness.store import RUN_FILE, read_head, run_directories

LATEST = "latest"


def locate(name: str, results_dir: Path) -> Path:
    """Find a run by its id, a unique prefix of it, a path, or "latest".

    Raises:
        UnknownName: if nothing, or more than one run, answers to it.
    """
    as_path = Path(name)
    if name and (_exists(as_path / RUN_FILE) or _exists(as_path)):
        return as_path
    directories = {path.name: path for path in run_directories(results_dir)}
    if name in directories:
        return directories[name]
    if name == LATEST and directories:
        return max(directories.values(), key=_started_at)
    matches = [path for run_id, path in directories.items() if name and run_id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    hint = f"({results_dir}) More than one begins so." if matches else f"({results_dir}) `tunebench runs` lists them."
    raise UnknownName("run", name, directories, hint)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any file's
        return False


def _started_at(directory: Path) -> tuple[str, str]:
    """When a run began; one that cannot be read counts as the oldest."""
    try:
        return read_head(directory).run.started_at, directory.name
    except BadResultFile:
        return "", directory.name
