"""Read a gate policy from TOML tables, on top of the shipped rules. `inputs.config_files` reads the file itself."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from harness.errors import BadConfig
from harness.gate.policy import GatePolicy, GateRule
from harness.gate.verdicts import Role
from harness.inputs import config_rules
from harness.inputs.config_files import read_gate_table
from harness.results.metrics import DEFINITIONS
from harness.results.records import Kind

DEFAULT = "default"
_SELECTORS = ("metric", "case", "label", "of_kind")
_FIELDS = ("tolerance", "floor", "kind", "role", "ignore")


def read_gate_policy(name: str = DEFAULT) -> GatePolicy:
    """Read a policy by its name under fixtures/policies/gate/, or from a path to a .toml file.

    Its rules come after those of the default policy, which decides all that the file leaves open.

    Raises:
        BadConfig: with all problems of the file.
        UnknownName: if no shipped policy has that name.
    """
    path, table = read_gate_table(name)
    shipped = not name.endswith(".toml")
    if problems := _problems(table, shipped=shipped):
        raise BadConfig(str(path), problems)
    user_rules = tuple(
        _rule(rule, f"{path.name}, rule {number}", shipped=shipped)
        for number, rule in enumerate(table.get("rule", ()), start=1)
    )
    default = None if name == DEFAULT else read_gate_policy()
    another_day = table.get("defaults", {}).get("another_day")
    if another_day is None:
        another_day = default.another_day if default else 0.0
    return GatePolicy(
        name=table.get("name", path.stem),
        another_day=float(another_day),
        rules=(*(default.rules if default else ()), *user_rules),
    )


def _rule(table: Mapping[str, Any], place: str, *, shipped: bool) -> GateRule:
    kind, of_kind, role = (table.get(key) for key in ("kind", "of_kind", "role"))
    if "ignore" in table:
        role = Role.IGNORED.value
    return GateRule(
        where=place,
        metric=table.get("metric", "*"),
        case=table.get("case", "*"),
        label=table.get("label"),
        tolerance=table.get("tolerance"),
        floor=table.get("floor"),
        ignore=table.get("ignore"),
        kind=Kind(kind) if kind else None,
        of_kind=Kind(of_kind) if of_kind else None,
        role=Role(role) if role else None,
        expires=table["expires"].isoformat() if "expires" in table else None,
        shipped=shipped,
    )


def _problems(table: Mapping[str, Any], *, shipped: bool) -> list[str]:
    problems = [
        *config_rules.problems(table, config_rules.GATE_POLICY, optional=tuple(config_rules.GATE_POLICY)),
        *config_rules.problems(
            table.get("defaults"),
            config_rules.GATE_DEFAULTS,
            part="defaults",
            optional=tuple(config_rules.GATE_DEFAULTS),
        ),
    ]
    rules = table.get("rule")
    tables = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    for number, rule in enumerate(tables, start=1):
        part = f"rule[{number}]"
        wrong = config_rules.problems(rule, config_rules.GATE_RULE, part=part, optional=tuple(config_rules.GATE_RULE))
        problems += wrong or [f"{part}{problem}" for problem in _contradictions(rule, shipped=shipped)]
    return [*problems, *_duplicates(tables)]


def _contradictions(rule: Mapping[str, Any], *, shipped: bool) -> list[str]:
    """List the contradictions in a rule whose keys are each valid."""
    meant = [
        known
        for known in DEFINITIONS.values()
        if fnmatchcase(known.name, rule.get("metric", "*"))
        and rule.get("of_kind", known.kind.value) == known.kind.value
    ]
    problems = []
    if not meant:
        problems.append(f": no metric {rule['metric']!r} is of the kind {rule['of_kind']!r}; correct metric or of_kind")
    if not rule.keys() & set(_FIELDS):
        problems.append(f" says nothing; give one or more of {', '.join(_FIELDS)}")
    if "ignore" in rule and "role" in rule:
        problems.append(" has both ignore and role; give one of them")
    if "ignore" in rule and "expires" not in rule and not shipped:
        problems.append(".expires is missing; what is ignored is ignored until a date, such as 2027-01-31")
    if "expires" in rule and "ignore" not in rule:
        problems.append(".ignore is missing; only a rule that ignores expires: give the reason")
    exact = all(known.kind is Kind.EXACT for known in meant) and "kind" not in rule
    if meant and (exact or rule.get("kind") == Kind.EXACT.value) and rule.keys() & {"tolerance", "floor"}:
        problems.append(": an exact quantity has no tolerance or floor; leave them out, or give another kind")
    return problems


def _duplicates(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    places = defaultdict(list)
    for number, rule in enumerate(tables, start=1):
        places[tuple(repr(rule.get(key)) for key in _SELECTORS)].append(f"rule[{number}]")
    return [
        f"{' and '.join(numbers)} are about the same; make them one" for numbers in places.values() if len(numbers) > 1
    ]
