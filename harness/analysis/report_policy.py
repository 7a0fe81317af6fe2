"""Report policy: limits and rankings of use cases, words for spreads, and an author's text for the cards.

`inputs.config_files` reads these values from TOML. They are policy, not measurement, and a report says so.
"""

from dataclasses import dataclass

STATISTICS = ("median", "p95", "highest", "lowest")  # of the readings of one process


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit that a case must meet, in the base unit of *metric*. At least one of the bounds is set.

    *label* None: the limit holds for each label of the metric. *suite* None: in each suite that measured the metric.
    """

    metric: str
    statistic: str
    at_most: float | None = None
    at_least: float | None = None
    label: str | None = None
    suite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """The metric that ranks cases within the limits; *label* None: the mean over all labels."""

    metric: str
    label: str | None = None
    suite: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """A purpose that somebody needs a model for, with the limits and the ranking that it calls for."""

    name: str
    rank: Rank
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingStep:
    """The *word* for a coefficient of variation (dimensionless) *below* a bound."""

    below: float
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Words for coefficients of variation: the first of the rising *steps* whose bound exceeds it, or *otherwise*."""

    steps: tuple[RatingStep, ...]
    otherwise: str

    def word(self, variation: float) -> str:
        """Return the word for a coefficient of variation."""
        return next((step.word for step in self.steps if variation < step.below), self.otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """The author's own text for the cards, verbatim; None where there is none."""

    intended_use: str | None = None
    limitations: str | None = None
    ethics: str | None = None
    license: str | None = None  # license of the adapters that are published with the cards


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole report policy. *sha256* is that of its file."""

    name: str
    sha256: str
    rating: Rating
    use_cases: tuple[UseCase, ...]
    cards: CardText
