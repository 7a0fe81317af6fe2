"""What a report goes by where numbers alone do not decide: limits of use cases, words for spreads, an author's text.

Frozen values, filled by `configs` from TOML. Policy, not measurement: a report prints it as such.
"""

from dataclasses import dataclass

STATISTICS = ("median", "p95", "highest", "lowest")  # of the readings of one process


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a case has to keep to, in the base unit of *metric*. At least one of the bounds is given.

    *label* None: for each label of the metric. *suite* None: in each suite that measured it.
    """

    metric: str
    statistic: str
    at_most: float | None = None
    at_least: float | None = None
    label: str | None = None
    suite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """The metric that decides between cases within the limits; *label* None: over all labels together."""

    metric: str
    label: str | None = None
    suite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """What somebody needs a model for."""

    name: str
    rank: Rank
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingStep:
    """The *word* for a coefficient of variation *below* a bound, dimensionless."""

    below: float
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Words for coefficients of variation: of *steps*, rising, the first that one is below; *otherwise* of none."""

    steps: tuple[RatingStep, ...]
    otherwise: str

    def word(self, variation: float) -> str:
        """The word for a coefficient of variation."""
        return next((step.word for step in self.steps if variation < step.below), self.otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """What an author says in the cards, as written; None where he says nothing."""

    intended_use: str | None = None
    limitations: str | None = None
    ethics: str | None = None
    license: str | None = None  # of what is published with the cards: the adapters


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy. *sha256* is of its file."""

    name: str
    sha256: str
    rating: Rating
    use_cases: tuple[UseCase, ...]
    cards: CardText
