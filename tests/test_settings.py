from pathlib import Path

import pytest

from harness import settings
from harness.errors import BadConfig, UnknownName
from harness.records import RunInfo
from harness.settings import resolve

GIVEN = {
    "models": "smollm2",
    "adapters": "qv-r8",
    "profile": "smoke",
    "source": "auto",
    "repeats": None,
    "cooldown_s": None,
    "memory_limit": None,
    "results_dir": "results",
    "run_id": None,
    "report": True,
}


def test_the_defaults_are_those_that_users_were_promised():
    assert (settings.DEFAULT_MODELS, settings.DEFAULT_PROFILE, settings.DEFAULT_SOURCE) == ("smollm2", "smoke", "auto")
    assert settings.DEFAULT_RESULTS_DIR == "results"
    assert settings.DEFAULT_ADAPTERS == "qv-r8"


@pytest.mark.parametrize(
    ("option", "value", "show", "shown"),
    [
        ("models", "qwen, gpt2", lambda s: [m.name for m in s.models], ["qwen", "gpt2"]),
        ("models", "gpt2,gpt2", lambda s: [m.name for m in s.models], ["gpt2"]),
        ("models", "hf:org/a@v1", lambda s: [m.revision for m in s.models], ["v1"]),
        ("adapters", "all-r8,qv-r16,", lambda s: [a.name for a in s.adapters], ["all-r8", "qv-r16"]),
        ("profile", "standard", lambda s: s.profile.name, "standard"),
        ("source", "hub", lambda s: s.source, "hub"),
        ("source", "embedded", lambda s: s.source, "embedded"),
        ("repeats", 7, lambda s: s.repeats, 7),
        ("cooldown_s", 2.5, lambda s: s.cooldown_s, 2.5),
        ("memory_limit", "8GiB", lambda s: s.memory_limit_bytes, 8 * 2**30),
        ("memory_limit", "1.5 mb", lambda s: s.memory_limit_bytes, 1.5 * 2**20),
        ("memory_limit", "1000000", lambda s: s.memory_limit_bytes, 1000000),
        ("resume", Path("results/x"), lambda s: s.resume, Path("results/x")),
        ("results_dir", "elsewhere/x", lambda s: s.results_dir, Path("elsewhere/x")),
        ("run_id", "Run_1.a-b", lambda s: s.run_id, "Run_1.a-b"),
        ("report", False, lambda s: s.report, False),
    ],
)
def test_every_option_shows_where_it_is_used(option, value, show, shown):
    assert show(resolve(**GIVEN)) != shown
    assert show(resolve(**{**GIVEN, option: value})) == shown


def test_the_profile_says_how_often_unless_the_user_does():
    assert resolve(**GIVEN).repeats == 1
    assert resolve(**{**GIVEN, "profile": "standard"}).repeats == 5
    assert resolve(**{**GIVEN, "profile": "standard", "repeats": 2}).repeats == 2


RESUMED = RunInfo(
    id="before",
    started_at="2026-01-01T00:00:00Z",
    finished_at=None,
    command=(),
    profile="standard",
    git=None,
    options={
        "models": ["gpt2", "qwen"],
        "lora": ["all-r8"],
        "weights": "embedded",
        "repeats": 7,
        "cooldown_s": 1.5,
        "memory_limit_bytes": 2**30,
    },
)
UNSAID = dict.fromkeys(("models", "adapters", "profile", "source"))


def test_what_is_not_said_is_as_it_was_in_the_run_that_is_gone_on_with():
    went_on = resolve(**{**GIVEN, **UNSAID}, resume=Path("results/before"), resumed=RESUMED)
    assert [model.name for model in went_on.models] == ["gpt2", "qwen"]
    assert (went_on.adapter_names, went_on.profile.name, went_on.source) == (("all-r8",), "standard", "embedded")
    assert (went_on.repeats, went_on.cooldown_s, went_on.memory_limit_bytes) == (7, 1.5, 2**30)


def test_what_is_said_counts_for_more_than_what_the_run_was_asked_for():
    said = {"models": "smollm2", "adapters": "qv-r16", "profile": "standard", "source": "auto"}
    said |= {"repeats": 2, "cooldown_s": 0.0, "memory_limit": "2GiB"}
    went_on = resolve(**{**GIVEN, **said}, resume=Path("results/before"), resumed=RESUMED)
    assert [model.name for model in went_on.models] == ["smollm2"]
    assert (went_on.adapter_names, went_on.profile.name, went_on.source) == (("qv-r16",), "standard", "auto")
    assert (went_on.repeats, went_on.cooldown_s, went_on.memory_limit_bytes) == (2, 0.0, 2**31)


def test_what_is_said_nowhere_is_the_default():
    plain = resolve(**{**GIVEN, **UNSAID})
    assert [model.name for model in plain.models] == ["smollm2"]
    assert (plain.adapter_names, plain.profile.name, plain.source) == (("qv-r8",), "smoke", "auto")
    assert (plain.cooldown_s, plain.memory_limit_bytes) == (0.0, None)


def test_a_run_that_is_gone_on_with_keeps_its_name():
    with pytest.raises(BadConfig, match="keeps its name"):
        resolve(**{**GIVEN, **UNSAID, "run_id": "other"}, resume=Path("results/before"), resumed=RESUMED)


@pytest.mark.parametrize("size", ["", "0", "much", "8 apples", "-1", "8GiBB"])
def test_a_memory_limit_that_is_no_size_is_refused(size):
    with pytest.raises(BadConfig, match=r"--memory-limit: 1 problem\n  .* is no size; give one such as 8GiB"):
        resolve(**{**GIVEN, "memory_limit": size})


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_pause_that_no_clock_can_wait_is_refused(seconds):
    with pytest.raises(BadConfig, match="--cooldown"):
        resolve(**{**GIVEN, "cooldown_s": seconds})


@pytest.mark.parametrize("repeats", [0, -1])
def test_a_case_is_measured_at_least_once(repeats):
    with pytest.raises(BadConfig, match=rf"--repeats: 1 problem\n  {repeats} processes a case; give a whole number"):
        resolve(**{**GIVEN, "repeats": repeats})


@pytest.mark.parametrize("run_id", ["", "a/b", "../x", ".hidden", "-x", "a b", "x\n", "ä"])
def test_a_run_is_not_named_what_a_directory_should_not_be(run_id):
    with pytest.raises(BadConfig, match=r"--run-id: 1 problem\n.*use letters, digits"):
        resolve(**{**GIVEN, "run_id": run_id})


@pytest.mark.parametrize(("option", "flag"), [("models", "--models"), ("adapters", "--lora")])
@pytest.mark.parametrize("nothing", ["", " , ,"])
def test_a_list_that_names_nothing_is_refused(option, flag, nothing):
    with pytest.raises(BadConfig, match=f"{flag}: 1 problem\n  nothing is named"):
        resolve(**{**GIVEN, option: nothing})


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("models", "model"),
        ("adapters", "adapter config"),
        ("profile", "profile"),
        ("source", "weights source"),
    ],
)
def test_a_name_that_nothing_answers_to_is_refused(option, what):
    with pytest.raises(UnknownName, match=f"unknown {what} 'nope'"):
        resolve(**{**GIVEN, option: "nope"})


def test_another_profile_is_another_run():
    with pytest.raises(BadConfig, match="the run is of the profile 'standard'; measure 'smoke' as a run of its own"):
        resolve(**{**GIVEN, **UNSAID, "profile": "smoke"}, resume=Path("results/before"), resumed=RESUMED)
