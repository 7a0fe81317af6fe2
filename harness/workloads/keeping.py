"""Puts trained adapters where the session wants them, each whole or not at all."""

import shutil
from pathlib import Path

from harness.modeldir import file_sha256
from harness.records import Artifact


def keep(work_dir: Path, adapter_dir: str | None) -> tuple[Artifact, ...]:
    """Put the final and the best adapter where the session wants them; name them relative to it.

    A directory gets its name when all of its files are written.
    """
    if adapter_dir is None:
        return ()
    kept = []
    for name in ("final", "best"):
        target, partial = Path(adapter_dir) / name, Path(adapter_dir) / f"{name}.partial"
        for old in (partial, target):
            shutil.rmtree(old, ignore_errors=True)
        shutil.copytree(work_dir / name, partial)
        partial.rename(target)
        for path in sorted(target.iterdir()):
            size = path.stat().st_size
            kept.append(Artifact(path=f"{name}/{path.name}", sha256=file_sha256(path), bytes=size))
    return tuple(kept)
