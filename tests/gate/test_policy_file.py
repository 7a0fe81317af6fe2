from pathlib import Path

import pytest

from harness.errors import BadConfig, UnknownName
from harness.gate.policy import Subject, requirement
from harness.gate.policy_file import read_gate_policy
from harness.gate.verdicts import Role
from harness.inputs import config_rules
from harness.inputs.config_files import known
from harness.results.metric_definitions import ALL
from harness.results.records import Kind

TODAY = "2026-11-23"
DOCS = Path(__file__).parents[2] / "docs" / "gate-policy.md"


def demanded(gate_policy, metric, label=None):
    kind = next(known.kind for known in ALL if known.name == metric)
    return requirement(gate_policy, Subject(case="training/tiny/r8", metric=metric, label=label, kind=kind), TODAY)


def roles(name, kind):
    gate_policy = read_gate_policy(name)
    return {demanded(gate_policy, known.name).role for known in ALL if known.kind is kind and "probe" not in known.name}


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def problems(path):
    with pytest.raises(BadConfig) as refusal:
        read_gate_policy(path)
    where, *found = str(refusal.value).split("\n  ")
    assert where.startswith(path)
    return found


def test_the_headlines_are_required_and_everything_else_is_watched():
    gate_policy = read_gate_policy()
    required = {known.name for known in ALL if demanded(gate_policy, known.name).role is Role.REQUIRED}
    assert required - {known.name for known in ALL if known.kind is Kind.EXACT} == {
        "train_tokens_per_s",
        "ttft_s",
        "prefill_tokens_per_s",
        "decode_tokens_per_s",
        "peak_active_bytes",
        "val_loss_final",
        "val_loss_best",
        "test_loss",
        "bits_per_byte",
    }
    assert roles("default", Kind.EXACT) == {Role.REQUIRED}
    assert {known.name for known in ALL if demanded(gate_policy, known.name).role is Role.IGNORED} == {
        "probe_gemm_flops_per_s",
        "probe_copy_bytes_per_s",
    }


@pytest.mark.parametrize(
    ("metric", "tolerance", "floor"),
    [
        ("train_tokens_per_s", 0.03, 0.0),
        ("ttft_s", 0.05, 0.0),
        ("load_s", 0.05, 0.0),
        ("peak_active_bytes", 0.01, 2**20),
        ("peak_cache_bytes", 0.01, 2**20),
        ("peak_footprint_bytes", 0.05, 2**24),
        ("val_loss_final", 0.01, 0.0),
        ("eos_rate", 0.03, 0.0),
        ("adapter_bytes", 0.0, 0.0),
    ],
)
def test_the_default_tolerances(metric, tolerance, floor):
    requirement = demanded(read_gate_policy(), metric)
    assert (requirement.tolerance, requirement.floor) == (tolerance, floor)


def test_memory_of_the_probe_is_watched():
    gate_policy = read_gate_policy()
    assert demanded(gate_policy, "peak_active_bytes", "probe").role is Role.WATCHED
    assert demanded(gate_policy, "peak_active_bytes", "train").role is Role.REQUIRED


def test_what_grows_by_itself_has_a_floor_of_its_own_by_label():
    gate_policy = read_gate_policy()
    floors = [demanded(gate_policy, "memory_growth_bytes_per_step", label).floor for label in ("active", "footprint")]
    assert floors == [2**12, 2**22]


def test_deterministic_ignores_times_and_answers_and_timing_the_rest():
    assert roles("deterministic", Kind.TIMING) == roles("deterministic", Kind.QUALITY) == {Role.IGNORED}
    assert Role.IGNORED not in roles("deterministic", Kind.EXACT) | roles("deterministic", Kind.LOSS)
    assert Role.IGNORED not in roles("timing", Kind.TIMING)
    assert roles("timing", Kind.EXACT) == roles("timing", Kind.LOSS) == roles("timing", Kind.QUALITY) == {Role.IGNORED}


@pytest.mark.parametrize("metric", ["peak_active_bytes", "peak_cache_bytes", "peak_footprint_bytes"])
def test_each_memory_counts_in_one_of_the_two(metric):
    ignored = [demanded(read_gate_policy(name), metric).role is Role.IGNORED for name in ("deterministic", "timing")]
    assert sorted(ignored) == [False, True]


def test_no_file_is_the_default_one_and_every_shipped_one_can_be_read():
    assert read_gate_policy() == read_gate_policy("default")
    assert set(known("policies/gate")) == {"default", "deterministic", "timing"}
    assert {read_gate_policy(name).name for name in known("policies/gate")} == set(known("policies/gate"))
    assert {read_gate_policy(name).another_day for name in known("policies/gate")} == {0.05}


def test_a_file_of_ones_own_goes_over_the_default(written):
    gate_policy = read_gate_policy(
        written(
            """
            name = "ours"
            [defaults]
            another_day = 0
            [[rule]]
            metric = "ttft_s"
            case = "training/*"
            tolerance = 0.08
            floor = 1
            kind = "memory"
            role = "watched"
            [[rule]]
            metric = "load_s"
            label = "cold"
            ignore = "a slow disk"
            expires = 2027-01-31
            """
        )
    )
    assert (gate_policy.name, gate_policy.another_day) == ("ours", 0.0)
    ours = demanded(gate_policy, "ttft_s")
    assert (ours.tolerance, ours.floor, ours.kind, ours.role) == (0.08, 1.0, Kind.MEMORY, Role.WATCHED)
    assert demanded(gate_policy, "load_s", "cold").ignored == "a slow disk; until 2027-01-31"
    assert demanded(gate_policy, "load_s", "warm").ignored is None
    assert demanded(gate_policy, "peak_footprint_bytes").tolerance == 0.05
    assert [rule.where for rule in gate_policy.rules if not rule.shipped] == ["mine.toml, rule 1", "mine.toml, rule 2"]


def test_an_empty_file_changes_nothing_but_the_name(written):
    gate_policy = read_gate_policy(written(""))
    assert (gate_policy.name, gate_policy.rules, gate_policy.another_day) == ("mine", read_gate_policy().rules, 0.05)


def test_everything_wrong_with_a_file_is_said_at_once(written):
    path = written(
        """
        title = "x"
        [defaults]
        another_day = 5
        [[rule]]
        metric = "decode_tokens_per_sec"
        tolerance = 3
        [[rule]]
        metric = "ttft_s"
        tolerence = 0.1
        floor = -1
        kind = "time"
        role = "ignored"
        expires = "2027-01-31"
        """
    )
    assert problems(path) == [
        "unknown key 'title'; known: name, defaults, rule",
        "defaults.another_day is 5; give a number from 0 to below 1: 0.05 is 5 %",
        "rule[1].metric is 'decode_tokens_per_sec'; give a metric of docs/metrics.md, or a pattern of some",
        "rule[1].tolerance is 3; give a number above 0 and below 1: 0.03 is 3 %",
        "unknown key 'rule[2].tolerence'; did you mean 'tolerance'?",
        "rule[2].floor is -1; give a number of 0 or more, in the metric's base unit",
        "rule[2].kind is 'time'; give one of timing, memory, exact, loss, quality",
        "rule[2].role is 'ignored'; give one of required, watched",
        "rule[2].expires is '2027-01-31'; give a date such as 2027-01-31, unquoted",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metric = 'ttft_s'", "rule[1] says nothing; give one or more of tolerance, floor, kind, role, ignore"),
        (
            "ignore = 'x'",
            "rule[1].expires is missing; what is ignored is ignored until a date, such as 2027-01-31",
        ),
        (
            "role = 'watched'\nexpires = 2027-01-31",
            "rule[1].ignore is missing; only a rule that ignores expires: give the reason",
        ),
        (
            "ignore = 'x'\nexpires = 2027-01-31\nrole = 'watched'",
            "rule[1] has both ignore and role; give one of them",
        ),
        (
            "metric = 'adapter_bytes'\ntolerance = 0.1",
            "rule[1]: an exact quantity has no tolerance or floor; leave them out, or give another kind",
        ),
        (
            "metric = 'ttft_s'\nkind = 'exact'\nfloor = 1",
            "rule[1]: an exact quantity has no tolerance or floor; leave them out, or give another kind",
        ),
        (
            "metric = 'ttft_s'\nof_kind = 'memory'\ntolerance = 0.1",
            "rule[1]: no metric 'ttft_s' is of the kind 'memory'; correct metric or of_kind",
        ),
        ("expires = 2027-01-31T10:00:00\nignore = 'x'", "rule[1].expires is datetime.datetime(2027, 1, 31, 10, 0)"),
        ("ignore = ' '\nexpires = 2027-01-31", "rule[1].ignore is ' '; give a reason"),
        ("tolerance = nan", "rule[1].tolerance is nan"),
        ("floor = inf", "rule[1].floor is inf"),
        ("tolerance = true", "rule[1].tolerance is True"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(written, text, problem):
    (found,) = problems(written(f"[[rule]]\n{text}\n"))
    assert found.startswith(problem)


def test_a_tolerance_may_stand_with_another_kind_of_an_exact_quantity(written):
    gate_policy = read_gate_policy(written("[[rule]]\nmetric = 'adapter_bytes'\nkind = 'memory'\ntolerance = 0.1\n"))
    assert demanded(gate_policy, "adapter_bytes").tolerance == 0.1


def test_two_rules_about_the_same_are_refused(written):
    text = "[[rule]]\nmetric = 'ttft_s'\ntolerance = 0.1\n[[rule]]\nlabel='short'\nmetric = 'ttft_s'\nfloor = 1\n"
    read_gate_policy(written(text))
    same = text + "[[rule]]\nmetric = 'ttft_s'\nfloor = 1\n"
    assert problems(written(same)) == ["rule[1] and rule[3] are about the same; make them one"]


@pytest.mark.parametrize("text", ["rule = 3", "rule = ['x']", "defaults = 3"])
def test_a_file_of_another_form_is_refused(written, text):
    assert len(problems(written(text))) == 1


def test_a_file_that_is_none_or_no_toml_is_refused(written, tmp_path):
    with pytest.raises(BadConfig, match="cannot be read as TOML"):
        read_gate_policy(written("= 3"))
    with pytest.raises(BadConfig, match="cannot be read: No such file"):
        read_gate_policy(str(tmp_path / "none.toml"))
    with pytest.raises(UnknownName, match="Did you mean 'timing'"):
        read_gate_policy("timings")


def test_the_page_has_the_terms_of_every_metric():
    rows = [
        tuple(value.strip(" `") for value in line.strip("|").split("|"))
        for line in DOCS.read_text(encoding="utf-8").split("## What holds without a file")[1].splitlines()
        if line.startswith("| `")
    ]
    gate_policy = read_gate_policy()
    for metric, label, tolerance, floor, role in rows:
        found = demanded(gate_policy, metric, label or None)
        assert (found.tolerance, found.floor, found.role.value) == (float(tolerance), float(floor), role), metric
    assert [metric for metric, label, *_ in rows if not label] == [known.name for known in ALL]


def test_the_example_of_the_page_is_a_policy(written):
    example = DOCS.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    gate_policy = read_gate_policy(written(example))
    assert (gate_policy.name, gate_policy.another_day) == ("ours", 0.08)
    assert demanded(gate_policy, "load_s", "cold").role is Role.IGNORED


def test_every_key_is_on_the_page():
    page = DOCS.read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in page for key in [*config_rules.GATE_RULE, "name", "rule"])
    assert all(f"| `defaults.{key}` |" in page for key in config_rules.GATE_DEFAULTS)
