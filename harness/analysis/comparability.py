"""Comparability matrix: the fields of several cases, and the comparisons that each difference rules out.

The effect of a field is the answer of `judge.obstacles` for two keys that differ in this field alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from harness.analysis.judge import obstacles
from harness.plain_text import cut_short
from harness.results.metrics import metric
from harness.results.records import Environment, Key, Metric

COMPARED = "what is compared"
DIRECTIONAL = "directional"
NO_EFFECT = "none"
UNKNOWN = "unknown"
_SHORT_HASH = 12
_SHORT_TEXT = 40
# One metric for each class of metrics that judge.obstacles treats alike; the effects are found with these.
_CLASSES = {
    "times": "ttft_s",
    "memory": "peak_active_bytes",
    "counts": "trainable_parameters",
    "losses per token": "test_loss",
    "losses per byte": "bits_per_byte",
    "quality": "eos_rate",
    "token rates": "decode_tokens_per_s",
}
_WORDS = {
    frozenset(_CLASSES): "blocks all",
    frozenset({"losses per token", "token rates"}): "blocks losses per token and token rates",
    frozenset({"losses per token", "losses per byte", "quality"}): "blocks losses and quality",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """One column of the matrix: a case and what it was measured with. None: not known."""

    name: str
    key: Key | None
    environment: Environment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One row of the matrix: a field, its shortened *values* by column, and its effect on comparisons."""

    field: str
    values: tuple[str, ...]
    equal: bool
    effect: str


def matrix(columns: Sequence[Keyed]) -> tuple[Match, ...]:
    """Return the rows for the fields of the key, then those for the environment."""
    keys = [column.key for column in columns]
    files = _effect(keys, _with_files_of, weights=True)
    rows = [
        _row("model", keys, lambda key: key.model, COMPARED),
        _row("weights source", keys, lambda key: key.weights.source, _effect(keys, _with_weights_of, weights=True)),
        _row("weights sha256", keys, lambda key: key.weights.sha256, files or COMPARED),
        _row("tokenizer", keys, lambda key: key.tokenizer, _effect(keys, _with_field_of("tokenizer"))),
        _row("dtype", keys, lambda key: key.dtype, _effect(keys, _with_field_of("dtype"))),
        *_part("quantization", keys),
        _row("adapter", keys, lambda key: key.adapter, COMPARED, display=_summary),
        *_part("dataset", keys),
        _row("device", keys, lambda key: key.device, _effect(keys, _with_field_of("device"))),
        *_part("settings", keys),
    ]
    return (*rows, *_environment([column.environment for column in columns]))


def _row(
    field: str,
    sources: Sequence[Any],
    value: Callable[[Any], Any],
    effect: str,
    *,
    display: Callable[[Any], Any] = lambda value: value,
) -> Match:
    """Compare one *value* of all sources; a source of None has an unknown value."""
    values = [None if source is None else value(source) for source in sources]
    equal = None not in sources and all(other == values[0] for other in values)
    texts = (UNKNOWN if source is None else _short(display(item)) for source, item in zip(sources, values, strict=True))
    return Match(field=field, values=tuple(texts), equal=equal, effect=effect or NO_EFFECT)


def _part(name: str, keys: Sequence[Key | None]) -> Iterator[Match]:
    """Return a row for each differing field of a part of the keys; a single row if none differs or a key has none."""
    parts = [getattr(key, name) for key in keys if key is not None]
    if not parts or not all(isinstance(part, dict) for part in parts):
        yield _row(name, keys, lambda key: getattr(key, name), _effect(keys, _with_field_of(name)), display=_summary)
        return
    fields = sorted(set().union(*parts))
    differing = [field for field in fields if any(part.get(field) != parts[0].get(field) for part in parts)]
    if not differing:
        yield _row(name, keys, lambda key: getattr(key, name), "", display=_summary)
    for field in differing:

        def with_field(key: Key, other: Key, field: str = field) -> Key:
            part: Any = {**getattr(key, name), field: getattr(other, name).get(field)}
            return replace(key, **{name: part})

        def value(key: Key, field: str = field) -> Any:
            return getattr(key, name).get(field)

        yield _row(f"{name}.{field}", keys, value, _effect(keys, with_field))


def _summary(part: dict[str, Any] | None) -> Any:
    """Summarize a part of a key: its name, or else its fields."""
    if part is None:
        return "none"
    return part.get("name", f"{len(part)} fields: {', '.join(sorted(part))}")


def _environment(environments: Sequence[Environment | None]) -> Iterator[Match]:
    """Return rows for facts that affect a comparison but are not in the key. Differences make it directional."""
    facts: dict[str, Callable[[Environment], Any]] = {
        "mlx": lambda environment: environment.packages.get("mlx"),
        "mlx-lm": lambda environment: environment.packages.get("mlx-lm"),
        "operating system": _operating_system,
        "tunebench code": lambda environment: environment.code,
    }
    for field, value in facts.items():
        row = _row(field, environments, value, DIRECTIONAL)
        yield replace(row, effect=NO_EFFECT) if row.equal else row


def _operating_system(environment: Environment) -> str:
    return " ".join(str(environment.os.get(name) or UNKNOWN) for name in ("system", "release"))


def _with_field_of(field: str) -> Callable[[Key, Key], Key]:
    return lambda key, other: replace(key, **{field: getattr(other, field)})


def _with_weights_of(key: Key, other: Key) -> Key:
    return replace(key, weights=other.weights)


def _with_files_of(key: Key, other: Key) -> Key:
    """Take the weights of *other* if they have the same source; the row of the source covers other sources."""
    return _with_weights_of(key, other) if key.weights.source == other.weights.source else key


def _effect(keys: Sequence[Key | None], replaced: Callable[[Key, Key], Key], *, weights: bool = False) -> str:
    """Return what the judge refuses to compare between a key and its copy with one field *replaced*; "" if nothing.

    A key with stand-in weights cannot even be compared with itself: only the rows of the *weights* say so.
    """
    known = [key for key in keys if key is not None]
    if len(known) < len(keys):
        return "blocks all"
    pairs = [(key, changed) for key, other in permutations(known, 2) if (changed := replaced(key, other)) is not key]
    blocked = frozenset(
        word
        for word, name in _CLASSES.items()
        for key, changed in pairs
        if set(obstacles(key, changed, _probe(name))) - set(() if weights else obstacles(key, key, _probe(name)))
    )
    return _WORDS.get(blocked, f"blocks {', '.join(word for word in _CLASSES if word in blocked)}") if blocked else ""


def _probe(name: str) -> Metric:
    return metric(name, None, reason="only its kind and its unit matter here")


def _short(value: Any) -> str:
    """Shorten a value; a SHA-256 to its first characters."""
    if value is None:
        return UNKNOWN
    text = str(value)
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):  # noqa: PLR2004 - sha256 in hexadecimal
        return text[:_SHORT_HASH]
    return cut_short(text, _SHORT_TEXT)
