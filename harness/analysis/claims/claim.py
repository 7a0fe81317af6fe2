"""A published claim beside the figures of its own report: what every check is given, and what it answers.

A side is all that is printed of one model with one adapter, whichever suite it belongs to. What a check needs and
the records do not hold is refused by name: a claim that cannot be checked must not pass for one that holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, TypeVar

from harness.errors import BadRecord
from harness.results.records import Bundle, Claim, Key, Metric, Output, Record
from harness.units import format_number, scale_of

_T = TypeVar("_T")
_SAME = 0.005  # relative: what rounding to three figures can do


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a claim fails: a sentence after the name of its place, and the numbers in it."""

    text: str
    numbers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """All records of one model and adapter. *where* is the claim that asks, for refusals."""

    name: str  # MODEL/ADAPTER
    records: tuple[Record, ...]
    where: str

    @property
    def model(self) -> str:
        """The model's name."""
        return self.name.partition("/")[0]

    @property
    def key(self) -> Key:
        """What was measured, of the first record."""
        return self._found("a key", next((its.key for its in self.records), None))

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Every printed answer."""
        return tuple(output for record in self.records for output in record.outputs)

    def metric(self, name: str) -> Metric | None:
        """The first record's metric of this name that was measured; None if there is none."""
        found = (record.metrics.get(name) for record in self.records)
        return next((its for its in found if its is not None and its.samples is not None), None)

    def parts(self, name: str) -> dict[str | None, float]:
        """Label -> the mean of what is printed under it: of a range its middle."""
        metric = self._found(f"the metric {name}", self.metric(name))
        return {label: fmean(sum(samples, ())) for label, samples in metric.parts().items()}

    def value(self, name: str, label: str | None = None) -> float:
        """One printed number."""
        return self._found(f"{name} of {label}" if label else name, self.parts(name).get(label))

    def ends(self, name: str) -> tuple[float, float]:
        """The lowest and the highest number printed of a metric, its median aside."""
        numbers = [value for label, value in self.parts(name).items() if label != "median"]
        return min(numbers), max(numbers)

    def middle(self, name: str) -> float:
        """Halfway between the ends: the number itself where one alone is printed."""
        return fmean(self.ends(name))

    def points(self, name: str) -> dict[float, float]:
        """A series as x -> y, by x."""
        found = next((record.series[name] for record in self.records if name in record.series), None)
        series = self._found(f"the series {name}", found)
        return dict(sorted(zip(series.x, series.y, strict=True)))

    def at(self, name: str, x: float) -> float:
        """The point of a series at exactly *x*."""
        return self._found(f"a point of {name} at {x:g}", self.points(name).get(x))

    def _found(self, what: str, value: _T | None) -> _T:
        if value is None:
            raise BadRecord(f"{self.where}: the claim is about {what} of {self.name}, which no record of it holds")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A claim, the sides it is about in its order, and the report it stands in."""

    claim: Claim
    sides: tuple[Side, ...]
    bundle: Bundle

    @property
    def side(self) -> Side:
        """The side of a claim about one."""
        return self.pick(1)[0]

    def pick(self, count: int) -> Sequence[Side]:
        """The first *count* sides."""
        if len(self.sides) < count:
            raise BadRecord(
                f"{self.claim.where}: {self.claim.check} is about {count} models or adapters; name the cases"
            )
        return self.sides[:count]

    def number(self, name: str) -> float:
        """A number the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the number {name!r}; found {value!r}")
        return value

    def word(self, name: str) -> str:
        """A text the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, str):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the text {name!r}; found {value!r}")
        return value

    def words(self, name: str) -> list[str]:
        """Several texts the claim states."""
        value = self.claim.numbers.get(name)
        if not isinstance(value, list | tuple) or not all(isinstance(its, str) for its in value):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs the texts {name!r}; found {value!r}")
        return list(value)

    def rows(self, name: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Several rows the claim states, each with these fields."""
        value = self.claim.numbers.get(name)
        rows = list(value) if isinstance(value, list | tuple) else []
        if not rows or not all(isinstance(row, dict) and row.keys() >= set(fields) for row in rows):
            raise BadRecord(f"{self.claim.where}: {self.claim.check} needs {name}, each with {', '.join(fields)}")
        return rows


Check = Callable[[Question], Answer | None]


def question(claim: Claim, bundle: Bundle) -> Question:
    """Put a claim beside the records it names.

    Raises:
        BadRecord: if it names a case that the report has no record of.
    """
    records = {record.case: record for record in bundle.records}
    if missing := [case for case in claim.cases if case not in records]:
        raise BadRecord(f"{claim.where}: no record of {', '.join(missing)}; there are {', '.join(records) or 'none'}")
    grouped: dict[str, list[Record]] = {}
    for case in claim.cases:
        grouped.setdefault(case.partition("/")[2], []).append(records[case])
    sides = (Side(name=name, records=tuple(its), where=claim.where) for name, its in grouped.items())
    return Question(claim=claim, sides=tuple(sides), bundle=bundle)


def same(a: float, b: float) -> bool:
    """Whether two numbers agree but for rounding."""
    return abs(a - b) <= _SAME * max(abs(a), abs(b))


def number(value: float) -> str:
    """Write a number with four figures at most: zeros at its end were not printed, and say nothing."""
    text = format_number(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def percent(share: float) -> str:
    """Write a share of one as a percentage, likewise."""
    return f"{number(100 * share)} %"


def quantity(value: float, unit: str) -> str:
    """Write a value in a unit that suits its size, likewise."""
    factor, symbol = scale_of(value, unit)
    return f"{number(value / factor)} {symbol}".strip()


def times(ratio: float) -> str:
    """Write a ratio: 2.5 times."""
    return f"{number(ratio)} times"


def whole(value: float) -> str:
    """Write a count."""
    return format_number(value, as_integer=True)


def name_of(series: str) -> str:
    """Write a series or metric in words."""
    return {
        "train_loss": "training loss",
        "val_loss": "validation loss",
        "val_loss_best": "best validation loss",
        "test_loss": "test loss",
        "train_wall_s": "training time",
        "peak_active_bytes": "peak memory",
        "summary_decode_tokens_per_s": "speed of generating in tokens/s",
        "peak_bytes": "memory",
        "total_parameters": "parameters",
    }.get(series, series)
