"""Save a run as a baseline, if the gate finds nothing worse than in the present one or the user accepts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BadConfig, HarnessError, NotABaseline
from harness.gate import baseline_rules
from harness.gate.policy_file import read_gate_policy
from harness.gate.verdicts import GateVerdict
from harness.machine.clock import utc_now
from harness.results import atomic_write, codec, run_files, store
from harness.results.baselines import HISTORY, Replaced, Saved, directory, history, kept
from harness.results.library_versions import LIBRARIES
from harness.results.records import Bundle
from harness.results.run_names import check_name

_LOCK = ".baseline.lock"  # beside the folder, so it is never committed


_PATIENCE_S = 60.0


def save(bundle: Bundle, name: str, reason: str, results_dir: Path, *, accept: bool = False) -> Saved:
    """Save a run as the baseline *name*, and return its line of the history.

    *accept* is required for a run that is a regression against the present baseline, and for a run that the gate cannot
    judge and that looks worse by more than the tolerance.

    Raises:
        BadConfig: if the name is none, or the reason is empty.
        NotABaseline: if the run must not become one; nothing is written.
        HarnessError: if the present baseline cannot be read, another save does not end, or nothing can be written.
    """
    check_name("--name", name)
    if not reason.strip():
        raise BadConfig("--reason", ["it is empty; say why this run is to be the baseline"])
    subject = f"the run {bundle.run.id} does not become the baseline {name!r}"
    if problems := baseline_rules.faults(bundle):
        raise NotABaseline(subject, problems)
    folder = directory(results_dir, name)
    with _locked(results_dir):
        line = _line(bundle, reason.strip(), folder)
        if line.accepted and not accept:
            raise NotABaseline(f"{subject}: {_against(line)}", line.accepted, _REMEDY)
        _write(folder, line, bundle)
    return line


_REMEDY = "if that is meant: --accept-regression; the history says so"


def _against(line: Saved) -> str:
    """Explain why the run needs acceptance."""
    if line.verdict == GateVerdict.REGRESSION.value:
        return f"a regression against {line.replaced}"
    return f"it cannot be judged against {line.replaced} ({line.verdict}), and looks worse by more than the tolerance"


def _line(bundle: Bundle, reason: str, folder: Path) -> Saved:
    """Return the history line of a save, before anything is written.

    Raises:
        NotABaseline: if the run is the baseline already.
    """
    saves = kept(folder)
    packages = bundle.environment.packages if bundle.environment else {}
    line = Saved(
        schema=run_files.SCHEMA,
        number=_next_number(folder),
        run=bundle.run.id,
        saved_at=utc_now(),
        reason=reason,
        git=bundle.run.git,
        versions={library: packages.get(library) for library in LIBRARIES},
    )
    if not saves:
        return line
    present = store.read_run(folder / saves[-1].file)
    if _same_state(present, bundle):
        subject = f"the run {bundle.run.id} does not become the baseline {folder.name!r}"
        raise NotABaseline(subject, [f"it is that already, number {saves[-1].number}; nothing was written"])
    standing = baseline_rules.against(present, bundle, read_gate_policy(), line.saved_at)
    return replace(
        line,
        replaced=Replaced(number=saves[-1].number, run=present.run.id),
        verdict=standing.verdict.value,
        worst=standing.worst,
        accepted=standing.worse,
        dropped=tuple(baseline_rules.dropped(present, bundle)),
    )


def _same_state(a: Bundle, b: Bundle) -> bool:
    """Tell whether both are the same run at the same finish (a resumed run has a new finished_at)."""
    return (a.run.id, a.run.finished_at) == (b.run.id, b.run.finished_at)


def _next_number(folder: Path) -> int:
    """Return a number above all used ones: the number of a deleted baseline is not used again."""
    used = [saved.number for saved in history(folder / HISTORY)]
    used += [int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()]
    return max(used, default=0) + 1


def _write(folder: Path, line: Saved, bundle: Bundle) -> None:
    """Write the run, then the history line that makes it the baseline."""
    history = folder / HISTORY
    earlier_lines = history.read_bytes() if history.is_file() else b""
    if earlier_lines and not earlier_lines.endswith(b"\n"):
        earlier_lines += b"\n"
    atomic_write.write_bytes(folder / line.file, codec.encode(baseline_rules.slim(bundle)) + b"\n")
    try:
        atomic_write.write_bytes(history, earlier_lines + codec.encode(line) + b"\n")
    except HarnessError:
        (folder / line.file).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(results_dir: Path) -> Iterator[None]:
    """Hold the lock of a save, so that a second save is judged against what the first one wrote."""
    lock = FileLock(results_dir / _LOCK)
    try:
        results_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise HarnessError(f"{results_dir}: another baseline has been being saved for a minute; try again") from None
    except OSError as error:
        raise atomic_write.unwritable(results_dir, error) from error
    try:
        yield
    finally:
        lock.release()
