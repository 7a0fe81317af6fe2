"""What a gate demands of each metric: how small a change matters, and how much its verdict counts. Values. Pure.

The rules of a policy are read in order, and for each field the last one that matches decides: general rules
first, exceptions after them. What ships stands before what a user writes, so a user's rule always wins.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from harness.analysis.judge import TOLERANCE
from harness.gate.verdicts import Role
from harness.results.records import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a row is about: a metric of a case, with the kind that its record says; *label* None without labels."""

    case: str
    metric: str
    label: str | None
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """What holds for the subjects that match. None: this rule does not say.

    *tolerance* is relative, of a share absolute (0.03 is 3 points); *floor* is a difference in the metric's base
    unit. *expires* is the last day on which the rule applies, ISO 8601; None where it has no end.
    """

    where: str  # the file, and the number of the rule in it
    metric: str = "*"  # a name or a pattern, and so the next two
    case: str = "*"
    label: str | None = None  # None: whatever the label, and of metrics without one
    of_kind: Kind | None = None
    tolerance: float | None = None
    floor: float | None = None
    kind: Kind | None = None
    role: Role | None = None  # IGNORED where there is a reason to ignore
    ignore: str | None = None  # the reason
    expires: str | None = None
    shipped: bool = False

    def matches(self, its: Subject) -> bool:
        """Whether the rule is about this."""
        return (
            self.of_kind in {None, its.kind}
            and fnmatchcase(its.metric, self.metric)
            and fnmatchcase(its.case, self.case)
            and (self.label is None or (its.label is not None and fnmatchcase(its.label, self.label)))
        )

    @property
    def about(self) -> str:
        """What selects, in the words of the file."""
        given = {"metric": self.metric, "case": self.case, "label": self.label}
        words = [f"{key} = {its!r}" for key, its in given.items() if its not in {None, "*"}]
        return ", ".join([*words, *([f"of_kind = {self.of_kind.value!r}"] if self.of_kind else [])]) or "metric = '*'"

    def expired(self, today: str) -> bool:
        """Whether the last day of the rule has passed; *today* is a date, or a time of day, in ISO 8601."""
        return self.expires is not None and today[: len(self.expires)] > self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """A whole policy. *another_day* is the relative allowance for the machine where the baseline is a stored one."""

    name: str
    another_day: float
    rules: tuple[GateRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is demanded of one row. *ignored* is why it does not count, and until when; None where it does."""

    tolerance: float
    floor: float
    kind: Kind
    role: Role
    ignored: str | None = None


def terms(policy: GatePolicy, its: Subject, today: str) -> Terms:
    """What *policy* demands of one row on the date *today*, in ISO 8601.

    An exact quantity has neither tolerance nor floor. To role and ignore the same last rule says both, so a later role
    takes up again what an earlier rule ignores.
    """
    tolerance = floor = kind = counting = None
    for rule in policy.rules:
        if rule.matches(its) and not rule.expired(today):
            tolerance = tolerance if rule.tolerance is None else rule.tolerance
            floor = floor if rule.floor is None else rule.floor
            kind = rule.kind or kind
            counting = counting if rule.role is None else rule
    kind = kind or its.kind
    exact = kind is Kind.EXACT
    role = (Role.REQUIRED if exact else Role.WATCHED) if counting is None else counting.role
    return Terms(
        tolerance=TOLERANCE[kind] if tolerance is None or exact else tolerance,
        floor=0.0 if floor is None or exact else floor,
        kind=kind,
        role=role or Role.WATCHED,
        ignored=None if counting is None else _ignored(counting),
    )


def _ignored(rule: GateRule) -> str | None:
    return f"{rule.ignore}; until {rule.expires}" if rule.ignore and rule.expires else rule.ignore


def policy_warnings(policy: GatePolicy, seen: Iterable[Subject], today: str) -> tuple[str, ...]:
    """A sentence for each of a user's rules that has expired, or that is about nothing the runs hold."""
    seen, own = tuple(seen), [rule for rule in policy.rules if not rule.shipped]
    ended = [
        f"{rule.where}: expired on {rule.expires}, so {rule.about} counts again; renew the rule or take it out"
        for rule in own
        if rule.expired(today)
    ]
    unused = [
        f"{rule.where}: nothing in these runs is meant by {rule.about}; correct the rule or take it out"
        for rule in own
        if not rule.expired(today) and not any(map(rule.matches, seen))
    ]
    return (*ended, *unused)
