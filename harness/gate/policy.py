"""Gate policy: how small a change of each metric matters, and how much its verdict counts.

Rules are read in order, and for each field the last matching rule decides: general rules first, exceptions after them.
Shipped rules come before those of a user, so a user's rule always wins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.analysis.judge import TOLERANCE
from harness.gate.verdicts import Role
from harness.results.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Subject of a row: a metric of a case with the kind stated in its record; *label* is None without labels."""

    case: str
    metric: str
    label: str | None
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """Settings for the subjects that match the rule; a field that is None sets nothing.

    *tolerance* is relative, but absolute for a share (0.03 is 3 points). *floor* is a difference in the metric's base
    unit. *expires* is the last day on which the rule applies, in ISO 8601; None where it has no end.
    """

    where: str  # file, and number of the rule in it
    metric: str = "*"  # name or pattern; so are the next two
    case: str = "*"
    label: str | None = None  # None matches any label, and metrics without labels
    of_kind: Kind | None = None
    tolerance: float | None = None
    floor: float | None = None
    kind: Kind | None = None
    role: Role | None = None  # IGNORED where *ignore* is given
    ignore: str | None = None  # the reason
    expires: str | None = None
    shipped: bool = False

    def matches(self, subject: Subject) -> bool:
        """Tell whether the rule applies to *subject*."""
        return (
            self.of_kind in {None, subject.kind}
            and fnmatchcase(subject.metric, self.metric)
            and fnmatchcase(subject.case, self.case)
            and (self.label is None or (subject.label is not None and fnmatchcase(subject.label, self.label)))
        )

    @property
    def about(self) -> str:
        """Selectors of the rule as the file writes them."""
        selectors = {"metric": self.metric, "case": self.case, "label": self.label}
        words = [f"{key} = {value!r}" for key, value in selectors.items() if value not in {None, "*"}]
        return ", ".join([*words, *([f"of_kind = {self.of_kind.value!r}"] if self.of_kind else [])]) or "metric = '*'"

    def expired(self, today: str) -> bool:
        """Tell whether the last day of the rule is over; *today* is a date, or a date with a time, in ISO 8601."""
        return self.expires is not None and today[: len(self.expires)] > self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """Policy of a gate. *another_day* is the relative change allowed to the machine against a stored baseline."""

    name: str
    another_day: float
    rules: tuple[GateRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Thresholds and role of one row. *ignored* says why it does not count, and until when; None if it counts."""

    tolerance: float
    floor: float
    kind: Kind
    role: Role
    ignored: str | None = None


def requirement(policy: GatePolicy, subject: Subject, today: str) -> Requirement:
    """Return the requirement of *policy* for one row on the date *today*, in ISO 8601.

    An exact quantity has neither tolerance nor floor. The last rule with a role decides both role and reason to ignore,
    so a later role restores a row that an earlier rule ignores.
    """
    tolerance = floor = kind = counting = None
    for rule in policy.rules:
        if rule.matches(subject) and not rule.expired(today):
            tolerance = tolerance if rule.tolerance is None else rule.tolerance
            floor = floor if rule.floor is None else rule.floor
            kind = rule.kind or kind
            counting = counting if rule.role is None else rule
    kind = kind or subject.kind
    exact = kind is Kind.EXACT
    role = (Role.REQUIRED if exact else Role.WATCHED) if counting is None else counting.role
    return Requirement(
        tolerance=TOLERANCE[kind] if tolerance is None or exact else tolerance,
        floor=0.0 if floor is None or exact else floor,
        kind=kind,
        role=role or Role.WATCHED,
        ignored=None if counting is None else _ignored(counting),
    )


def _ignored(rule: GateRule) -> str | None:
    return f"{rule.ignore}; until {rule.expires}" if rule.ignore and rule.expires else rule.ignore


def policy_warnings(policy: GatePolicy, subjects: Iterable[Subject], today: str) -> tuple[str, ...]:
    """Describe each rule of the user that has expired or matches nothing in the runs."""
    subjects, user_rules = tuple(subjects), [rule for rule in policy.rules if not rule.shipped]
    ended = [
        f"{rule.where}: expired on {rule.expires}, so {rule.about} counts again; renew the rule or take it out"
        for rule in user_rules
        if rule.expired(today)
    ]
    unused = [
        f"{rule.where}: nothing in these runs is meant by {rule.about}; correct the rule or take it out"
        for rule in user_rules
        if not rule.expired(today) and not any(map(rule.matches, subjects))
    ]
    return (*ended, *unused)
