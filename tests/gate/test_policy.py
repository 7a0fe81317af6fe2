from dataclasses import replace

import pytest

from harness.gate.policy import GatePolicy, GateRule, Requirement, Subject, policy_warnings, requirement
from harness.gate.verdicts import Role
from harness.results.records import Kind

TODAY = "2026-11-23"


def subject(metric="decode_tokens_per_s", **changes):
    plain = Subject(case="inference/tiny/base", metric=metric, label="short", kind=Kind.TIMING)
    return replace(plain, **changes)


def policy(*rules, another_day=0.05):
    numbered = (replace(rule, where=f"mine.toml, rule {number}") for number, rule in enumerate(rules, start=1))
    return GatePolicy(name="mine", another_day=another_day, rules=tuple(numbered))


def rule(**fields):
    return GateRule(where="", **fields)


def ignoring(**fields):
    return rule(ignore="known", role=Role.IGNORED, **fields)


@pytest.mark.parametrize(
    ("kind", "tolerance", "role"),
    [
        (Kind.TIMING, 0.03, Role.WATCHED),
        (Kind.MEMORY, 0.01, Role.WATCHED),
        (Kind.LOSS, 0.01, Role.WATCHED),
        (Kind.QUALITY, 0.03, Role.WATCHED),
        (Kind.EXACT, 0.0, Role.REQUIRED),
    ],
)
def test_what_no_rule_names_is_as_its_kind(kind, tolerance, role):
    expected = Requirement(tolerance=tolerance, floor=0.0, kind=kind, role=role)
    assert requirement(policy(), subject(kind=kind), TODAY) == expected


def test_for_each_field_the_last_rule_that_matches_decides():
    gate_policy = policy(
        rule(metric="*_per_s", tolerance=0.1, floor=2.0),
        rule(metric="decode*", tolerance=0.2, role=Role.REQUIRED),
        rule(metric="ttft_s", tolerance=0.5, role=Role.WATCHED),
    )
    assert requirement(gate_policy, subject(), TODAY) == Requirement(
        tolerance=0.2, floor=2.0, kind=Kind.TIMING, role=Role.REQUIRED
    )


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({"metric": "decode_tokens_per_s"}, True),
        ({"metric": "decode"}, False),
        ({"metric": "DECODE*"}, False),
        ({"case": "inference/*/base"}, True),
        ({"case": "training/*"}, False),
        ({"label": "sh*"}, True),
        ({"label": "long"}, False),
        ({"of_kind": Kind.TIMING}, True),
        ({"of_kind": Kind.MEMORY}, False),
    ],
)
def test_a_rule_is_about_what_all_its_selectors_match(selector, found):
    assert rule(**selector).matches(subject()) is found


def test_a_rule_with_a_label_is_not_about_metrics_without_one():
    assert not rule(label="*").matches(subject(label=None))
    assert rule().matches(subject(label=None))


def test_another_kind_brings_its_own_tolerance():
    gate_policy = policy(rule(metric="adapter_bytes", kind=Kind.MEMORY))
    demanded = requirement(gate_policy, subject("adapter_bytes", kind=Kind.EXACT), TODAY)
    assert (demanded.kind, demanded.tolerance, demanded.role) == (Kind.MEMORY, 0.01, Role.WATCHED)


def test_an_exact_quantity_keeps_neither_tolerance_nor_floor_of_a_wide_rule():
    demanded = requirement(policy(rule(tolerance=0.5, floor=9.0)), subject(kind=Kind.EXACT), TODAY)
    assert (demanded.tolerance, demanded.floor) == (0.0, 0.0)


def test_what_is_ignored_says_why_and_until_when():
    demanded = requirement(policy(ignoring(expires="2027-01-31")), subject(), TODAY)
    assert (demanded.role, demanded.ignored) == (Role.IGNORED, "known; until 2027-01-31")
    assert requirement(policy(ignoring()), subject(), TODAY).ignored == "known"


def test_a_later_role_takes_up_again_what_is_ignored_and_a_later_tolerance_does_not():
    again = requirement(policy(ignoring(), rule(role=Role.REQUIRED)), subject(), TODAY)
    assert (again.role, again.ignored) == (Role.REQUIRED, None)
    still = requirement(policy(ignoring(), rule(tolerance=0.1)), subject(), TODAY)
    assert (still.role, still.ignored, still.tolerance) == (Role.IGNORED, "known", 0.1)


@pytest.mark.parametrize(
    ("today", "role"),
    [
        ("2027-01-30", Role.IGNORED),
        ("2027-01-31T23:59:59Z", Role.IGNORED),
        ("2027-02-01", Role.WATCHED),
        ("2027-02-01T00:00:00Z", Role.WATCHED),
    ],
)
def test_a_rule_applies_through_its_last_day(today, role):
    assert requirement(policy(ignoring(expires="2027-01-31")), subject(), today).role is role


def test_a_rule_that_has_expired_is_told():
    gate_policy = policy(rule(tolerance=0.1), ignoring(metric="decode*", expires="2026-11-22"))
    assert policy_warnings(gate_policy, [subject()], TODAY) == (
        "mine.toml, rule 2: expired on 2026-11-22, so metric = 'decode*' counts again; renew the rule or take it out",
    )


def test_a_rule_that_has_expired_is_told_once():
    gate_policy = policy(ignoring(metric="train_*", expires="2026-11-22"))
    assert len(policy_warnings(gate_policy, [subject()], TODAY)) == 1


def test_a_rule_about_nothing_in_the_runs_is_told_and_one_that_ships_is_not():
    unused = rule(metric="train_*", case="training/*", label="x", of_kind=Kind.LOSS)
    expected = "metric = 'train_*', case = 'training/*', label = 'x', of_kind = 'loss'"
    assert policy_warnings(policy(unused), [subject()], TODAY) == (
        f"mine.toml, rule 1: nothing in these runs is meant by {expected}; correct the rule or take it out",
    )
    assert policy_warnings(policy(replace(unused, shipped=True)), [subject()], TODAY) == ()
    assert policy_warnings(policy(rule(metric="decode*")), iter([subject()]), TODAY) == ()
