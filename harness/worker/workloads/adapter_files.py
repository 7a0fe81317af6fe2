"""Copying of trained adapters to the session's directory; each arrives complete or not at all."""

import shutil
from pathlib import Path

from harness.inputs.model_dir import file_sha256
from harness.results.records import Artifact


def keep_adapters(work_dir: Path, adapter_dir: str | None) -> tuple[Artifact, ...]:
    """Copy the final and the best adapter and the checkpoints to *adapter_dir*; return their files.

    Paths are relative to *adapter_dir*. A directory gets its final name once all its files are written.
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
        for path in sorted(file for file in target.rglob("*") if file.is_file()):
            name_in_dir = path.relative_to(adapter_dir).as_posix()
            kept.append(Artifact(path=name_in_dir, sha256=file_sha256(path), bytes=path.stat().st_size))
    return tuple(kept)
