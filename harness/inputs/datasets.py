"""Datasets by name: rows in three splits, from files or from the hub, checked row by row. Nothing is tokenized here."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import BadConfig, UnknownName
from harness.inputs.jsonl import canonical, read_bytes, read_each, read_lines
from harness.inputs.plans import TrainingPlan
from harness.inputs.prompts import SCENARIOS, Prompt, read_prompt_file, read_prompts
from harness.inputs.row_formats import TEXT, Form, Row
from harness.paths import bundled, without_home

SPLITS = ("train", "valid", "test")
SPLIT_SEED = 0  # chosen; fixed, so that trainings with different seeds see the same split
TEST_PROMPTS = 20  # chosen: enough to see how a model answers, few enough to generate
_VALID_PERCENT, _TEST_PERCENT = 15, 5  # the shares of the published comparison S0
_HUB, _PATH = "hf:", "path:"
_PROMPTS = "prompts.jsonl"

_Splits = dict[str, tuple[Row, ...]]
_Numbered = dict[str, tuple[tuple[int, Row], ...]]
_SplitRows = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Rows in three splits. A row is a dict with `messages`, role and content of each turn, or with `text`."""

    name: str  # as typed
    form: str  # chat or text
    sha256: str  # of all rows, before they are split or shortened
    splits: _Splits
    numbers: dict[str, tuple[int, ...]]  # of each row in its source: the line, or the place in a split of the hub
    split_rows: _SplitRows | None = None  # as requested
    split_seed: int | None = None  # None where the splits were given
    revision: str | None = None  # of a dataset from the hub

    def facts(self) -> dict[str, Any]:
        """Return the facts that identify the dataset in a record's key."""
        optional = {
            "split_rows": self.split_rows and list(self.split_rows),
            "split_seed": self.split_seed,
            "revision": self.revision,
        }
        return {
            "name": without_home(self.name),
            "form": self.form,
            "sha256": self.sha256,
            "rows": {split: len(rows) for split, rows in self.splits.items()},
        } | {name: value for name, value in optional.items() if value is not None}


def read_dataset(name: str, split_rows: _SplitRows | None = None) -> Dataset:
    """Read a folder under fixtures/data/, path:FILE_OR_DIR or hf:ORG/NAME[@REV]; of each split *split_rows* rows.

    Rows that come without splits are shuffled and split.

    Raises:
        HarnessError: if there is no such dataset, or no model can be trained on its rows.
    """
    source = _read_from_hub(name) if on_the_hub(name) else _read_files(_path_of(name))
    unsplit = list(source.splits) == ["train"]
    numbered = {split: tuple(enumerate(rows, start=1)) for split, rows in source.splits.items()}
    splits = (
        _shuffle_and_split(name, numbered["train"], split_rows) if unsplit else _shorten(name, numbered, split_rows)
    )
    return Dataset(
        name=name,
        form=source.form,
        sha256=source.sha256,
        splits={split: tuple(row for _, row in rows) for split, rows in splits.items()},
        numbers={split: tuple(number for number, _ in rows) for split, rows in splits.items()},
        split_rows=split_rows,
        split_seed=SPLIT_SEED if unsplit else None,
        revision=source.revision,
    )


def on_the_hub(name: str) -> bool:
    """Return whether a dataset of this name is fetched from the hub."""
    return name.startswith(_HUB)


def pinned(name: str) -> str:
    """Return the name of a hub dataset with its current commit; any other name unchanged.

    Raises:
        HarnessError: if the dataset cannot be fetched.
    """
    if not on_the_hub(name):
        return name
    return f"{name.partition('@')[0]}@{_read_from_hub(name).revision}"


def check_plan(plan: TrainingPlan) -> None:
    """Reject a plan whose rows cannot be read, do not fill a batch, or have no prompts to mask.

    Raises:
        HarnessError: naming what is wrong with its dataset.
    """
    dataset = read_dataset(plan.dataset, plan.split_rows)
    check_size(dataset, plan.batch_size)
    check_masking(dataset, mask_prompt=plan.mask_prompt)
    prompts_of(dataset)


def check_size(dataset: Dataset, batch_size: int) -> None:
    """Reject a batch size above the number of training rows.

    Raises:
        BadConfig: naming both numbers.
    """
    if (rows := len(dataset.splits["train"])) < batch_size:
        remedy = f"give {batch_size} rows or more, or a batch_size of {rows} or less"
        raise BadConfig(
            without_home(dataset.name), [f"{rows} rows to train on, and a batch takes {batch_size}; {remedy}"]
        )


def check_masking(dataset: Dataset, *, mask_prompt: bool) -> None:
    """Reject prompt masking for rows that have no prompt.

    Raises:
        BadConfig: naming the remedy.
    """
    if mask_prompt and dataset.form == TEXT:
        remedy = "leave out mask_prompt, or give rows with messages"
        raise BadConfig(
            without_home(dataset.name), [f"mask_prompt, but the rows are text and have no prompt; {remedy}"]
        )


def prompts_of(dataset: Dataset) -> tuple[Prompt, ...]:
    """Return the evaluation prompts: the dataset's own, else the last user turn of each of the first test rows.

    Rows of plain text have none.
    """
    if dataset.form == TEXT:
        return ()
    if not dataset.name.startswith((_HUB, _PATH)):
        return read_prompts(f"evaluation-{dataset.name}")
    if not on_the_hub(dataset.name) and (path := _path_of(dataset.name) / _PROMPTS).is_file():
        return read_prompt_file(path)
    questions = (
        next(message["content"] for message in reversed(row["messages"]) if message["role"] == "user")
        for row in dataset.splits["test"][:TEST_PROMPTS]
    )
    return tuple(Prompt(id=f"test-{number}", text=text) for number, text in enumerate(questions, start=1))


def learnable_texts() -> Iterator[str]:
    """Yield shipped training rows and scenario prompts in a fixed order: a stand-in's tokenizer is trained on them."""
    for name in sorted(_shipped()):
        for row in read_dataset(name).splits["train"]:
            yield from (message["content"] for message in row["messages"])
    for scenario in SCENARIOS:
        yield from (prompt.text for prompt in read_prompts(scenario))


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourceRows:
    """Rows as the source has them. With train as the only split they still have to be split."""

    form: str
    sha256: str
    splits: _Splits
    revision: str | None = None


def _shipped() -> list[str]:
    return [path.name for path in (bundled("fixtures") / "data").iterdir() if path.is_dir()]


def _path_of(name: str) -> Path:
    """Return the file or directory of a dataset that is not on the hub."""
    if name.startswith(_PATH):
        if not (location := name.removeprefix(_PATH)):
            raise BadConfig("dataset", [f"{name!r} names no file; give path:FILE_OR_DIR"])
        return Path(location).expanduser()
    if name not in (known := _shipped()):
        raise UnknownName("dataset", name, known, "path:FILE_OR_DIR and hf:ORG/NAME work too.")
    return bundled("fixtures") / "data" / name


def _read_files(source: Path) -> _SourceRows:
    paths = {"train": source}
    if source.is_dir():
        paths = {split: source / f"{split}.jsonl" for split in SPLITS}
        if missing := [path.name for path in paths.values() if not path.exists()]:
            remedy = f"add it, or name one file, which is split: path:{source / 'NAME.jsonl'}"
            raise BadConfig(str(source), [f"there is no {name}; {remedy}" for name in missing])
    form = Form()
    digest = hashlib.sha256(b"".join(map(read_bytes, paths.values())))
    splits = {split: read_lines(path, form.read) for split, path in paths.items()}
    return _SourceRows(form=form.name, sha256=digest.hexdigest(), splits=splits)


@cache  # one request to the hub per process, however many cases use these rows
def _read_from_hub(name: str) -> _SourceRows:
    from harness.inputs.hub_datasets import fetch_rows  # noqa: PLC0415 - large, and needed for hub datasets alone

    fetched = fetch_rows(name.removeprefix(_HUB))
    splits = fetched.splits
    names = ["train"] if list(splits) == ["train"] else SPLITS
    if missing := [split for split in names if split not in splits]:
        remedy = f"it has {', '.join(splits) or 'none'}; save its rows to files and give path:FILE_OR_DIR"
        raise BadConfig(name, [f"there is no split {split}; {remedy}" for split in missing])
    form = Form()
    digest = hashlib.sha256(canonical({split: splits[split] for split in names}))
    rows = {split: read_each(name, f"{split} row", splits[split], form.read) for split in names}
    return _SourceRows(form=form.name, sha256=digest.hexdigest(), splits=rows, revision=fetched.revision)


def _shorten(name: str, splits: _Numbered, split_rows: _SplitRows | None) -> _Numbered:
    """Return the first *split_rows* rows of each split."""
    if split_rows is None:
        return splits
    _check_counts(name, split_rows)
    counts = dict(zip(SPLITS, split_rows, strict=True))
    if problems := [
        f"split_rows asks for {count} rows of {split}, and there are {len(splits[split])}; ask for these or fewer"
        for split, count in counts.items()
        if count > len(splits[split])
    ]:
        raise BadConfig(name, problems)
    return {split: splits[split][:count] for split, count in counts.items()}


def _shuffle_and_split(name: str, rows: Sequence[tuple[int, Row]], split_rows: _SplitRows | None) -> _Numbered:
    """Shuffle and split; without *split_rows*, 80, 15 and 5 % of the rows, and at least one to each."""
    if len(rows) < len(SPLITS):
        remedy = f"give {len(SPLITS)} or more: to train, validate and test on"
        raise BadConfig(name, [f"{len(rows)} rows cannot be split; {remedy}"])
    if split_rows is None:
        valid, test = (max(1, len(rows) * percent // 100) for percent in (_VALID_PERCENT, _TEST_PERCENT))
        split_rows = (len(rows) - valid - test, valid, test)
    _check_counts(name, split_rows)
    if sum(split_rows) > len(rows):
        sums = f"{' + '.join(map(str, split_rows))} = {sum(split_rows)}"
        raise BadConfig(
            without_home(name), [f"split_rows asks for {sums} rows, and there are {len(rows)}; ask for fewer"]
        )
    draw = random.Random(SPLIT_SEED)  # noqa: S311 - no secret
    shuffled = sorted(rows, key=lambda _: draw.random())  # of Random, only random() is the same in every Python
    train, valid, test = split_rows
    ends = {"train": (0, train), "valid": (train, train + valid), "test": (train + valid, train + valid + test)}
    return {split: tuple(shuffled[slice(*span)]) for split, span in ends.items()}


def _check_counts(name: str, split_rows: _SplitRows) -> None:
    if min(split_rows) < 1:
        counts = ", ".join(map(str, split_rows))
        raise BadConfig(without_home(name), [f"split_rows asks for {counts} rows; give 1 or more of each split"])
