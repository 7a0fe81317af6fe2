from pathlib import Path

import pytest

from harness import settings
from harness.errors import BadConfig, UnknownName
from harness.settings import resolve

GIVEN = {
    "models": "smollm2",
    "adapters": "qv-r8",
    "profile": "smoke",
    "source": "auto",
    "repeats": None,
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
