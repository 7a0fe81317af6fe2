"""Rules for the keys of config files: tables in, problems out.

Each rule is a row: a test of the value, and the words for the values that are accepted. A key without a row is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from harness.analysis import preflight
from harness.analysis.report_policy import STATISTICS
from harness.inputs.adapter_targets import PRESETS
from harness.inputs.plans import ALL_LAYERS, AdapterKind, Suite
from harness.results.metrics import DEFINITIONS
from harness.results.records import Better, Kind

Rules = Mapping[str, tuple[Callable[[Any], bool], str]]
OPTIMIZERS = ("adam", "adamw", "adafactor", "muon", "sgd")
SCHEDULES = ("cosine_decay", "exponential_decay", "linear_schedule", "step_decay")
_LARGE = 1e300  # chosen; larger numbers overflow a float when they are multiplied
_MODES = ("affine", "mxfp4", "mxfp8", "nvfp4")
_SUITES = tuple(suite.value for suite in Suite)


def _count(value: object) -> bool:
    return type(value) is int and value >= 1


def _count_or_0(value: object) -> bool:
    return type(value) is int and value >= 0


def _rising(value: object, *, minimum: int) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(type(v) is int and v >= minimum for v in value)
        and value == sorted(set(value))
    )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGE


def _number_above_0(value: object) -> bool:
    return _number(value) and value > 0  # type: ignore[operator]


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _names(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(v) for v in value)


def _keys(value: object) -> bool:
    return value in PRESETS if isinstance(value, str) else _names(value) or _keys_by_type(value)


def _keys_by_type(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(_names(names) for names in value.values())


def _split(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_count, value))  # noqa: PLR2004


def _table(value: object) -> bool:
    return isinstance(value, dict)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _one_of(names: Sequence[str]) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: value in names), f"one of {', '.join(names)}"


def _tables(value: object) -> bool:
    return isinstance(value, list) and all(map(_table, value))


def _steps(value: object) -> bool:
    """Return whether *value* is a list of tables with rising bounds; the rules of the tables check the rest."""
    if not isinstance(value, list) or not value or not _tables(value):
        return False
    bounds = [step["below"] for step in value if _number(step.get("below"))]
    return bounds == sorted(set(bounds))


_COUNT = (_count, "a whole number of 1 or more")
_COUNT_OR_0 = (_count_or_0, "a whole number of 0 or more")
_SEVERAL = (lambda value: _count(value) and value > 1, "a whole number of 2 or more")
_ABOVE_0 = (_number_above_0, "a number above 0")
_FLAG = (_flag, "true or false")
_TABLE = (_table, "a table")

ADAPTER: Rules = {
    "kind": _one_of([kind.value for kind in AdapterKind]),
    "rank": _COUNT,
    "scale": _ABOVE_0,
    "dropout": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1"),
    "layers": (lambda v: v == ALL_LAYERS or _count(v), 'a whole number of 1 or more, or "all"'),
    "keys": (
        _keys,
        f"a preset ({', '.join(PRESETS)}), a list of module names, or such lists by model_type and 'default'",
    ),
    "quantize": (lambda v: _count(v) or _table(v), "the bits of a weight, or a table with bits, group_size and mode"),
    "models": (_names, "a list of models"),
    "resume": (_text, "the directory of an adapter"),
    "training": (_table, "a table: what is trained otherwise than the profile says"),
}
QUANTIZATION: Rules = {"bits": _COUNT, "group_size": _COUNT, "mode": _one_of(_MODES)}
TRAINING: Rules = {
    "dataset": (_text, "the name of a folder under fixtures/data/, path:FILE_OR_DIR or hf:ORG/NAME"),
    "split_rows": (_split, "three numbers of rows: to train, validate and test on"),
    "iters": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": _ABOVE_0,
    "max_seq_length": _SEVERAL,
    "val_every": _COUNT,
    "warmup_iters": (_count, "a whole number of 1 or more: the first iteration holds compilation"),
    "grad_accumulation_steps": _COUNT,
    "seed": _COUNT_OR_0,
    "optimizer": _one_of(OPTIMIZERS),
    "optimizer_options": (_table, "a table of what that optimizer takes beside the learning rate"),
    "schedule": (_table, "a table with name, arguments, warmup and warmup_init"),
    "grad_checkpoint": _FLAG,
    "mask_prompt": _FLAG,
    "checkpoint_every": _COUNT,
    "accept": (
        lambda v: isinstance(v, list) and all(_text(rule) and rule in preflight.RULES for rule in v),
        f"a list of rules of the pre-flight: {', '.join(preflight.RULES)}",
    ),
}
SCHEDULE: Rules = {
    "name": _one_of(SCHEDULES),
    "arguments": (
        lambda v: isinstance(v, list) and all(map(_number, v)),
        "a list of numbers: what the schedule takes after the learning rate",
    ),
    "warmup": _COUNT_OR_0,
    "warmup_init": (lambda v: _number(v) and v >= 0, "a number of 0 or more"),
}
PROFILE: Rules = {
    "repeats": _COUNT,
    "timeout_s": (_number_above_0, "a number of seconds above 0"),
    "cooldown_s": (lambda v: v == 0 or _number_above_0(v), "a number of seconds, 0 for none"),
    "lora": (_names, "a list of adapter configs"),
    "training": _TABLE,
    "evaluation": _TABLE,
    "inference": _TABLE,
}
EVALUATION: Rules = {"max_answer_tokens": _COUNT}
INFERENCE: Rules = {
    "prompts_per_scenario": _COUNT,
    "warmup_prompts": _COUNT_OR_0,
    "output_tokens": _SEVERAL,
    "stability_repeats": _SEVERAL,
    "context_depths": (lambda v: _rising(v, minimum=0), "a list of whole numbers of 0 or more, rising"),
    "context_tokens": _SEVERAL,
    "batch_sizes": (lambda v: _rising(v, minimum=1), "a list of whole numbers of 1 or more, rising"),
}
MODEL: Rules = {
    "repository": (_text, "a repository ORG/NAME"),
    "license": (_text, "the licence's name"),
    "gated": _FLAG,
    "config": (lambda v: _table(v) and _text(v.get("model_type")), "a table with a model_type"),
    "chat": _TABLE,
    "nano": _TABLE,
    "pypi": _TABLE,
}
CHAT: Rules = {
    "family": (_text, "the name of a template under fixtures/chat/"),
    "eos": (_text, "a token"),
    "pad": (_text, "a token"),
    "also_eos": (_names, "a list of tokens"),
    "bos": (_text, "a token"),
    "unk": (_text, "a token"),
    "special": (_names, "a list of tokens"),
}
PYPI: Rules = dict.fromkeys(
    ("distribution", "version", "wheel", "wheel_sha256", "member", "origin_quantization"), (_text, "a text")
)
_METRIC = (lambda v: isinstance(v, str) and v in DEFINITIONS, "a metric of docs/metrics.md")
_RANKING = (
    lambda v: isinstance(v, str) and v in DEFINITIONS and DEFINITIONS[v].better is not Better.NONE,
    "a metric of docs/metrics.md of which more, or less, is better",
)
_NUMBER = (_number, "a number, in the metric's base unit")
_LABEL = (_text, "one of the metric's labels: a scenario, a phase")
POLICY: Rules = {
    "rating": _TABLE,
    "use_case": (lambda v: _table(v) and all(map(_table, v.values())), "a table of use cases, each a table"),
    "cards": _TABLE,
}
RATING: Rules = {
    "steps": (_steps, "a list of tables { below, word }, their bounds rising"),
    "otherwise": (_text, "a word"),
}
STEP: Rules = {"below": _ABOVE_0, "word": (_text, "a word")}
USE_CASE: Rules = {
    "rank": (_table, "a table { metric }"),
    "limits": (
        lambda v: isinstance(v, list) and all(map(_table, v)),
        "a list of tables { metric, statistic, at_most }",
    ),
}
RANK: Rules = {"metric": _RANKING, "label": _LABEL, "suite": _one_of(_SUITES)}
LIMIT: Rules = {
    "metric": _METRIC,
    "statistic": _one_of(STATISTICS),
    "at_most": _NUMBER,
    "at_least": _NUMBER,
    "label": _LABEL,
    "suite": _one_of(_SUITES),
}
CARDS: Rules = dict.fromkeys(("intended_use", "limitations", "ethics", "license"), (_text, "a text"))
_SHARE = (lambda v: _number(v) and 0 < v < 1, "a number above 0 and below 1: 0.03 is 3 %")
_KIND = _one_of([kind.value for kind in Kind])
GATE_POLICY: Rules = {
    "name": (_text, "a name"),
    "defaults": (_table, "a table with another_day"),
    "rule": (_tables, "a list of tables, each under [[rule]]"),
}
GATE_DEFAULTS: Rules = {"another_day": (lambda v: _number(v) and 0 <= v < 1, "a number from 0 to below 1: 0.05 is 5 %")}
GATE_RULE: Rules = {
    "metric": (
        lambda v: _text(v) and any(fnmatchcase(name, v) for name in DEFINITIONS),
        "a metric of docs/metrics.md, or a pattern of some",
    ),
    "case": (_text, "a case, or a pattern such as inference/*/base"),
    "label": (_text, "one of the metric's labels, or a pattern of some"),
    "of_kind": _KIND,
    "tolerance": _SHARE,
    "floor": (lambda v: _number(v) and v >= 0, "a number of 0 or more, in the metric's base unit"),
    "kind": _KIND,
    "role": _one_of(("required", "watched")),
    "ignore": (_text, "a reason"),
    "expires": (lambda v: isinstance(v, date) and not isinstance(v, datetime), "a date such as 2027-01-31, unquoted"),
}


def _suggestion(key: str, rules: Rules) -> str:
    close = get_close_matches(key, list(rules), n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(rules)}"


def problems(table: object, rules: Rules, *, part: str = "", optional: Sequence[str] = ()) -> list[str]:
    """List every problem of one table of a file. *part* is its name in the file; *optional* keys may be missing."""
    if not isinstance(table, dict):
        return []  # the rule of the table's key, one level up, reports that it is no table
    prefix = f"{part}." if part else ""
    problem_texts = [f"unknown key {prefix + key!r}; {_suggestion(key, rules)}" for key in sorted(table.keys() - rules)]
    for key, (holds, accepted) in rules.items():
        if key not in table:
            problem_texts += [] if key in optional else [f"{prefix}{key} is missing; give {accepted}"]
        elif not holds(table[key]):
            problem_texts.append(f"{prefix}{key} is {table[key]!r}; give {accepted}")
    return problem_texts
