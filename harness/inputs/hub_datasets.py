"""Rows of a dataset on the Hugging Face hub, read from its files: JSON Lines, JSON, CSV and Parquet.

No code of a repository is run and its card is not read: the names of files and folders say which split they belong to.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BadConfig
from harness.inputs import hub

_PATTERNS = ("*.jsonl", "*.json", "*.csv", "*.parquet")
_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "test": "test"}
_NOT_ROWS = {"dataset_info.json", "dataset_infos.json"}  # metadata that the datasets library writes
_Row = tuple[str, dict[str, Any] | str]  # its place in the file, and its content or what is wrong with it


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRows:
    """Rows of a dataset by split: train, valid and test, those that exist. *revision* is a commit."""

    repository: str
    revision: str
    splits: dict[str, tuple[dict[str, Any], ...]]


def fetch_rows(name: str) -> HubRows:
    """Download and read `ORG/NAME` or `ORG/NAME@REV`; where no hub answers, read the cached copy.

    Raises:
        BadWeights: if the dataset cannot be fetched, as `hub.download_data` says.
        BadConfig: if its splits are ambiguous, or a row cannot be read.
    """
    match = re.fullmatch(r"([^/@]+/[^/@]+)(?:@(.+))?", name)
    if match is None:
        raise BadConfig("dataset", [f"{name!r} is no data set of the hub; give ORG/NAME or ORG/NAME@REV"])
    repository, revision = match.groups()
    try:
        snapshot = hub.download_data(repository, revision, _PATTERNS)
    except hub.HubUnreachable:
        cached = hub.cached_data(repository, revision, _PATTERNS)
        if cached is None:
            raise
        snapshot = cached
    source = f"{repository}@{snapshot.name}"
    files = _files_by_split(source, snapshot)
    problems: list[str] = []
    splits = {split: tuple(_rows(snapshot, files[split], problems)) for split in files}
    problems += [f"{split} has no rows" for split, rows in splits.items() if not rows and not problems]
    if problems:
        raise BadConfig(source, problems)
    return HubRows(repository=repository, revision=snapshot.name, splits=splits)


def _files_by_split(source: str, snapshot: Path) -> dict[str, list[Path]]:
    """Return the files of each split. Where some files are named after a split, the others belong to none."""
    paths = sorted(
        path.relative_to(snapshot)
        for path in snapshot.rglob("*")
        if any(path.match(pattern) for pattern in _PATTERNS) and path.name not in _NOT_ROWS
    )
    files: dict[str, list[Path]] = {}
    for split in dict.fromkeys(_SPLITS.values()):
        if split_paths := [path for path in paths if _split_of(path) == split]:
            files[split] = split_paths
    if not files and len(paths) == 1:
        return {"train": paths}
    problems = [
        f"{split} could be any of {', '.join(map(str, split_paths))}"
        for split, split_paths in files.items()
        if len({_series(path) for path in split_paths}) > 1
    ]
    if not files:
        named = f"none of {', '.join(map(str, paths))}" if paths else "no file"
        problems = [f"{named} is called after a split"]
    if problems:
        accepted = f"accepted: files or folders called {', '.join(_SPLITS)}; several of a split in one folder, numbered"
        raise BadConfig(source, [*problems, f"{accepted}; or download it, and give local files"])
    return files


def _split_of(path: Path) -> str | None:
    """Return the split that the file is named after, or else the nearest folder; None if there is none."""
    parts = (path.stem, *reversed(path.parts[:-1]))
    return next((split for part in parts if (split := _split_in(part))), None)


def _split_in(name: str) -> str | None:
    words = re.findall(r"[a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def _series(path: Path) -> tuple[Path, str, str]:
    """Return what shards of a split share: folder, suffix, and the name before its number if it names the split."""
    stem = re.match(r"\D*", path.stem) if _split_in(path.stem) else None
    return path.parent, path.suffix, stem.group() if stem else ""


def _rows(snapshot: Path, paths: Iterable[Path], problems: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of *paths* in order; what cannot be read is added to *problems*."""
    for path in paths:
        try:
            for place, row in _READERS[path.suffix](snapshot / path):
                if isinstance(row, dict):
                    yield row
                else:
                    problems.append(f"{path}: {place} {row}")
        except (ValueError, OSError, NotImplementedError, csv.Error) as error:
            problems.append(f"{path}: cannot be read: {error}")


def _jsonl(path: Path) -> Iterator[_Row]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if line.strip():
            try:
                yield f"line {number}", _object(json.loads(line))
            except ValueError as error:
                yield f"line {number}", f"is not JSON: {error}"


def _json(path: Path) -> Iterator[_Row]:
    rows = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(rows, list):
        yield "it", f"is {_kind(rows)}; give a list of objects"
        return
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", _object(row)


def _csv(path: Path) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
    for row in reader:
        complete = None not in row and None not in row.values()
        yield f"line {reader.line_num}", row if complete else f"has not {len(reader.fieldnames or ())} fields"


def _parquet(path: Path) -> Iterator[_Row]:
    try:
        import pyarrow.parquet  # noqa: PLC0415 - large, and few data sets need it
    except ImportError as error:
        raise ValueError("Parquet needs pyarrow: pip install 'tunebench[datasets]'") from error
    for number, row in enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1):
        yield f"row {number}", row


_READERS = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}


def _object(value: Any) -> dict[str, Any] | str:
    return value if isinstance(value, dict) else f"is {_kind(value)}; give an object"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
