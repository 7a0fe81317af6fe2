"""Datasets by name: rows in three splits, from files or from the hub, checked row by row. No tokenizer here."""

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
    sha256: str  # of all there is, before it is split or shortened
    splits: _Splits
    numbers: dict[str, tuple[int, ...]]  # of each row where it came from: its line, or its place in a split of the hub
    split_rows: _SplitRows | None = None  # as asked for
    split_seed: int | None = None  # None where the splits were given
    revision: str | None = None  # of a dataset from the hub

    def facts(self) -> dict[str, Any]:
        """What identifies the dataset in a record's key."""
        where_they_apply = {
            "split_rows": self.split_rows and list(self.split_rows),
            "split_seed": self.split_seed,
            "revision": self.revision,
        }
        return {
            "name": without_home(self.name),
            "form": self.form,
            "sha256": self.sha256,
            "rows": {split: len(rows) for split, rows in self.splits.items()},
        } | {name: value for name, value in where_they_apply.items() if value is not None}


def read_dataset(name: str, split_rows: _SplitRows | None = None) -> Dataset:
    """Read a folder under fixtures/data/, path:FILE_OR_DIR or hf:ORG/NAME[@REV]; *split_rows* of each split.

    Rows that come without splits are shuffled and split.

    Raises:
        HarnessError: if there is no such dataset, or it holds what no model can be trained on.
    """
    found = _on_the_hub(name) if on_the_hub(name) else _in_files(_place(name))
    whole = list(found.splits) == ["train"]
    numbered = {split: tuple(enumerate(rows, start=1)) for split, rows in found.splits.items()}
    splits = _split(name, numbered["train"], split_rows) if whole else _first(name, numbered, split_rows)
    return Dataset(
        name=name,
        form=found.form,
        sha256=found.sha256,
        splits={split: tuple(row for _, row in rows) for split, rows in splits.items()},
        numbers={split: tuple(number for number, _ in rows) for split, rows in splits.items()},
        split_rows=split_rows,
        split_seed=SPLIT_SEED if whole else None,
        revision=found.revision,
    )


def on_the_hub(name: str) -> bool:
    """Whether a dataset of this name has to be fetched."""
    return name.startswith(_HUB)


def pinned(name: str) -> str:
    """The name of a dataset with the commit it is of now; as it is where that does not apply.

    Raises:
        HarnessError: if it cannot be had.
    """
    if not on_the_hub(name):
        return name
    return f"{name.partition('@')[0]}@{_on_the_hub(name).revision}"


def check_plan(plan: TrainingPlan) -> None:
    """Refuse a plan whose rows cannot be read, cannot fill a batch, or have no prompts to mask.

    Raises:
        HarnessError: naming what is wrong with its dataset.
    """
    dataset = read_dataset(plan.dataset, plan.split_rows)
    check_size(dataset, plan.batch_size)
    check_masking(dataset, mask_prompt=plan.mask_prompt)
    prompts_of(dataset)


def check_size(dataset: Dataset, batch_size: int) -> None:
    """Refuse a batch that the rows to train on cannot fill.

    Raises:
        BadConfig: naming both numbers.
    """
    if (rows := len(dataset.splits["train"])) < batch_size:
        remedy = f"give {batch_size} rows or more, or a batch_size of {rows} or less"
        raise BadConfig(
            without_home(dataset.name), [f"{rows} rows to train on, and a batch takes {batch_size}; {remedy}"]
        )


def check_masking(dataset: Dataset, *, mask_prompt: bool) -> None:
    """Refuse to mask the prompts of rows that have none.

    Raises:
        BadConfig: naming the remedy.
    """
    if mask_prompt and dataset.form == TEXT:
        remedy = "leave out mask_prompt, or give rows with messages"
        raise BadConfig(
            without_home(dataset.name), [f"mask_prompt, but the rows are text and have no prompt; {remedy}"]
        )


def prompts_of(dataset: Dataset) -> tuple[Prompt, ...]:
    """What a model trained on *dataset* is asked: its own prompts, else questions of the test rows; none of text."""
    if dataset.form == TEXT:
        return ()
    if not dataset.name.startswith((_HUB, _PATH)):
        return read_prompts(f"evaluation-{dataset.name}")
    if not on_the_hub(dataset.name) and (path := _place(dataset.name) / _PROMPTS).is_file():
        return read_prompt_file(path)
    questions = (
        next(its["content"] for its in reversed(row["messages"]) if its["role"] == "user")
        for row in dataset.splits["test"][:TEST_PROMPTS]
    )
    return tuple(Prompt(id=f"test-{number}", text=text) for number, text in enumerate(questions, start=1))


def learnable_texts() -> Iterator[str]:
    """Shipped training rows and scenario prompts, in a fixed order: what a stand-in's tokenizer is learnt from."""
    for name in sorted(_shipped()):
        for row in read_dataset(name).splits["train"]:
            yield from (message["content"] for message in row["messages"])
    for scenario in SCENARIOS:
        yield from (prompt.text for prompt in read_prompts(scenario))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Rows as they lie there. With train as the only split they are still to be split."""

    form: str
    sha256: str
    splits: _Splits
    revision: str | None = None


def _shipped() -> list[str]:
    return [path.name for path in (bundled("fixtures") / "data").iterdir() if path.is_dir()]


def _place(name: str) -> Path:
    """The file or directory of a dataset that is not on the hub."""
    if name.startswith(_PATH):
        if not (rest := name.removeprefix(_PATH)):
            raise BadConfig("dataset", [f"{name!r} names no file; give path:FILE_OR_DIR"])
        return Path(rest).expanduser()
    if name not in (known := _shipped()):
        raise UnknownName("dataset", name, known, "path:FILE_OR_DIR and hf:ORG/NAME work too.")
    return bundled("fixtures") / "data" / name


def _in_files(place: Path) -> _Found:
    paths = {"train": place}
    if place.is_dir():
        paths = {split: place / f"{split}.jsonl" for split in SPLITS}
        if missing := [path.name for path in paths.values() if not path.exists()]:
            remedy = f"add it, or name one file, which is split: path:{place / 'NAME.jsonl'}"
            raise BadConfig(str(place), [f"there is no {name}; {remedy}" for name in missing])
    form = Form()
    digest = hashlib.sha256(b"".join(map(read_bytes, paths.values())))
    splits = {split: read_lines(path, form.read) for split, path in paths.items()}
    return _Found(form=form.name, sha256=digest.hexdigest(), splits=splits)


@cache  # a process asks the hub once, however many cases it has on these rows
def _on_the_hub(name: str) -> _Found:
    from harness.inputs.hub_datasets import fetch_rows  # noqa: PLC0415 - only where it is needed: it brings a library of its own

    fetched = fetch_rows(name.removeprefix(_HUB))
    splits = fetched.splits
    wanted = ["train"] if list(splits) == ["train"] else SPLITS
    if missing := [split for split in wanted if split not in splits]:
        remedy = f"it has {', '.join(splits) or 'none'}; save its rows to files and give path:FILE_OR_DIR"
        raise BadConfig(name, [f"there is no split {split}; {remedy}" for split in missing])
    form = Form()
    digest = hashlib.sha256(canonical({split: splits[split] for split in wanted}))
    read = {split: read_each(name, f"{split} row", splits[split], form.read) for split in wanted}
    return _Found(form=form.name, sha256=digest.hexdigest(), splits=read, revision=fetched.revision)


def _first(name: str, splits: _Numbered, split_rows: _SplitRows | None) -> _Numbered:
    """The first *split_rows* rows of each split."""
    if split_rows is None:
        return splits
    _check_counts(name, split_rows)
    wanted = dict(zip(SPLITS, split_rows, strict=True))
    if problems := [
        f"split_rows asks for {count} rows of {split}, and there are {len(splits[split])}; ask for these or fewer"
        for split, count in wanted.items()
        if count > len(splits[split])
    ]:
        raise BadConfig(name, problems)
    return {split: splits[split][:count] for split, count in wanted.items()}


def _split(name: str, rows: Sequence[tuple[int, Row]], split_rows: _SplitRows | None) -> _Numbered:
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
        asked = ", ".join(map(str, split_rows))
        raise BadConfig(without_home(name), [f"split_rows asks for {asked} rows; give 1 or more of each split"])
