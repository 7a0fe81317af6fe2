"""The input and the result of a check of a published claim.

A check gets a `ClaimContext`: the claim, and the records of the models it is about. If the records lack something that
the check needs, `BadRecord` names it: a claim that cannot be checked must not pass as one that holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypeVar

from harness.analysis.finding import Level
from harness.errors import BadRecord
from harness.results.records import Bundle, Claim, Key, Metric, Output, Record

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Result of a failed check: a sentence that continues the place of the claim, and the numbers in the sentence."""

    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSubject:
    """All records of one model and adapter, of any suite. *where* is the place of the claim, for error messages."""

    name: str  # MODEL/ADAPTER
    records: tuple[Record, ...]
    where: str

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.records[0].case_id.model

    @property
    def key(self) -> Key:
        """Key of the first record that has one."""
        return self._require("a key", next((record.key for record in self.records), None))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All printed answers."""
        return tuple(output for record in self.records for output in record.outputs)

    def metric(self, name: str) -> Metric | None:
        """Return the first measured metric of this name; None if no record measured it."""
        metrics = (record.metrics.get(name) for record in self.records)
        return next((metric for metric in metrics if metric is not None and metric.samples is not None), None)

    def parts(self, name: str) -> dict[str | None, float]:
        """Return the printed value by label; a printed range counts as its midpoint."""
        metric = self._require(f"the metric {name}", self.metric(name))
        return {label: fmean(sum(samples, ())) for label, samples in metric.parts().items()}

    def value(self, name: str, label: str | None = None) -> float:
        """Return one printed number."""
        return self._require(f"{name} of {label}" if label else name, self.parts(name).get(label))

    def ends(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest printed number of a metric, without its median."""
        numbers = [value for label, value in self.parts(name).items() if label != "median"]
        return min(numbers), max(numbers)

    def middle(self, name: str) -> float:
        """Return the midpoint of `ends`; a single printed number is its own midpoint."""
        return fmean(self.ends(name))

    def points(self, name: str) -> dict[float, float]:
        """Return a series as x -> y, ordered by x."""
        first = next((record.series[name] for record in self.records if name in record.series), None)
        series = self._require(f"the series {name}", first)
        return dict(sorted(zip(series.x, series.y, strict=True)))

    def at(self, name: str, x: float) -> float:
        """Return the value of a series at exactly *x*."""
        return self._require(f"a point of {name} at {x:g}", self.points(name).get(x))

    def _require(self, item: str, value: _T | None) -> _T:
        if value is None:
            raise BadRecord(f"{self.where}: the claim is about {item} of {self.name}, which no record of it holds")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimContext:
    """A claim, its subjects in the order of its cases, and the report that makes it."""

    claim: Claim
    subjects: tuple[ClaimSubject, ...]
    bundle: Bundle

    @property
    def subject(self) -> ClaimSubject:
        """The only subject, or the first of several."""
        return self.pick(1)[0]

    def pick(self, count: int) -> Sequence[ClaimSubject]:
        """Return the first *count* subjects.

        Raises:
            BadRecord: if the claim names fewer.
        """
        if len(self.subjects) < count:
            raise BadRecord(
                f"{self.claim.where}: {self.claim.check} is about {count} models or adapters; name the cases"
            )
        return self.subjects[:count]

    def number(self, name: str) -> float:
        """Return a number that the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the number {name!r}; found {value!r}")
        return value

    def word(self, name: str) -> str:
        """Return a text that the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, str):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the text {name!r}; found {value!r}")
        return value

    def words(self, name: str) -> list[str]:
        """Return a list of texts that the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the texts {name!r}; found {value!r}")
        return list(value)

    def rows(self, name: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return rows that the claim states, each with these fields."""
        value = self.claim.numbers.get(name)
        rows = list(value) if isinstance(value, list | tuple) else []
        if not rows or not all(isinstance(row, dict) and row.keys() >= set(fields) for row in rows):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs {name}, each with {', '.join(fields)}")
        return rows


Check = Callable[[ClaimContext], Answer | None]
CheckTable = dict[str, tuple[str, Level, Check]]  # by name of the check: rule, level of its findings, function


def claim_context(claim: Claim, bundle: Bundle) -> ClaimContext:
    """Join a claim with the records it names.

    Raises:
        BadRecord: if the claim names a case that the report has no record of.
    """
    by_case = {record.case: record for record in bundle.records}
    if missing := [case for case in claim.cases if case not in by_case]:
        raise BadRecord(f"{claim.where}: no record of {', '.join(missing)}; there are {', '.join(by_case) or 'none'}")
    grouped: dict[str, list[Record]] = {}
    for case in claim.cases:
        grouped.setdefault(by_case[case].case_id.configuration, []).append(by_case[case])
    subjects = (ClaimSubject(name=name, records=tuple(records), where=claim.where) for name, records in grouped.items())
    return ClaimContext(claim=claim, subjects=tuple(subjects), bundle=bundle)
