"""Puts trained adapters where the session wants them, each whole or not at all."""

import shutil
from pathlib import Path

from harness.inputs.model_dir import file_sha256
from harness.results.records import Artifact


def keep(work_dir: Path, adapter_dir: str | None) -> tuple[Artifact, ...]:
    """Put the final and the best adapter, and the checkpoints, where the session wants them; give their files.

    Paths are relative to it. A directory gets its name when all of its files are written.
    """
    if adapter_dir is None:
        return ()
    kept = []
    for name in ("final", "best", "checkpoints"):
        if not (work_dir / name).is_dir():
            continue
        target, partial = Path(adapter_dir) / name, Path(adapter_dir) / f"{name}.partial"
        for old in (partial, target):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(work_dir / name, partial)
        partial.rename(target)
        for path in sorted(its for its in target.rglob("*") if its.is_file()):
            where = path.relative_to(adapter_dir).as_posix()
            kept.append(Artifact(path=where, sha256=file_sha256(path), bytes=path.stat().st_size))
    return tuple(kept)
