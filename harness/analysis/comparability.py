"""Field by field, what several cases have in common and what each difference forbids. Pure; it asks `judge`.

No effect is decided here: each is what `judge.obstacles` says of two keys that differ in that one field.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from harness.analysis.judge import obstacles
from harness.results.metrics import metric
from harness.results.records import Environment, Key, Metric

COMPARED = "what is compared"
DIRECTIONAL = "directional"
NO_EFFECT = "none"
UNKNOWN = "unknown"
_SHORT_HASH = 12
_SHORT_TEXT = 40
# What the effects are told by: a metric of each class that judge.obstacles treats alike.
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
    """One column: what a case was measured with. *key* and *environment* are None where they are not known."""

    name: str
    key: Key | None
    environment: Environment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One field of the columns: the *values* in their order, shortened, and what the field does to a comparison."""

    field: str
    values: tuple[str, ...]
    equal: bool
    effect: str


def matrix(columns: Sequence[Keyed]) -> tuple[Match, ...]:
    """One row a field of the key, each part of it by what differs within; then the environment's."""
    keys = [column.key for column in columns]
    files = _effect(keys, _with_its_files, weights=True)
    rows = [
        _row("model", keys, lambda key: key.model, COMPARED),
        _row("weights source", keys, lambda key: key.weights.source, _effect(keys, _with_its_weights, weights=True)),
        _row("weights sha256", keys, lambda key: key.weights.sha256, files or COMPARED),
        _row("tokenizer", keys, lambda key: key.tokenizer, _effect(keys, _taking("tokenizer"))),
        _row("dtype", keys, lambda key: key.dtype, _effect(keys, _taking("dtype"))),
        *_part("quantization", keys),
        _row("adapter", keys, lambda key: key.adapter, COMPARED, shown=_named),
        *_part("dataset", keys),
        _row("device", keys, lambda key: key.device, _effect(keys, _taking("device"))),
        *_part("settings", keys),
    ]
    return (*rows, *_environment([column.environment for column in columns]))


def _row(
    field: str,
    sources: Sequence[Any],
    value: Callable[[Any], Any],
    effect: str,
    *,
    shown: Callable[[Any], Any] = lambda value: value,
) -> Match:
    """Compare one *value* of all sources, unknown where a source is None."""
    values = [None if source is None else value(source) for source in sources]
    equal = None not in sources and all(its == values[0] for its in values)
    texts = (UNKNOWN if source is None else _short(shown(its)) for source, its in zip(sources, values, strict=True))
    return Match(field=field, values=tuple(texts), equal=equal, effect=effect or NO_EFFECT)


def _part(name: str, keys: Sequence[Key | None]) -> Iterator[Match]:
    """One row a field in which a part of the keys differs; one for all of it where they are alike, or one has none."""
    parts = [getattr(key, name) for key in keys if key is not None]
    if not parts or not all(isinstance(part, dict) for part in parts):
        yield _row(name, keys, lambda key: getattr(key, name), _effect(keys, _taking(name)), shown=_named)
        return
    fields = sorted(set().union(*parts))
    differing = [field for field in fields if any(part.get(field) != parts[0].get(field) for part in parts)]
    if not differing:
        yield _row(name, keys, lambda key: getattr(key, name), "", shown=_named)
    for field in differing:

        def taken(key: Key, other: Key, field: str = field) -> Key:
            part: Any = {**getattr(key, name), field: getattr(other, name).get(field)}
            return replace(key, **{name: part})

        def value(key: Key, field: str = field) -> Any:
            return getattr(key, name).get(field)

        yield _row(f"{name}.{field}", keys, value, _effect(keys, taken))


def _named(part: dict[str, Any] | None) -> Any:
    """A part of a key in a word: its name, or how much it fixes."""
    if part is None:
        return "none"
    return part.get("name", f"{len(part)} fields: {', '.join(sorted(part))}")


def _environment(environments: Sequence[Environment | None]) -> Iterator[Match]:
    """What a comparison depends on and no key holds. Differences make it directional."""
    facts: dict[str, Callable[[Environment], Any]] = {
        "mlx": lambda its: its.packages.get("mlx"),
        "mlx-lm": lambda its: its.packages.get("mlx-lm"),
        "operating system": lambda its: " ".join(str(its.os.get(name) or UNKNOWN) for name in ("system", "release")),
        "tunebench code": lambda its: its.code,
    }
    for field, value in facts.items():
        row = _row(field, environments, value, DIRECTIONAL)
        yield replace(row, effect=NO_EFFECT) if row.equal else row


def _taking(field: str) -> Callable[[Key, Key], Key]:
    return lambda key, other: replace(key, **{field: getattr(other, field)})


def _with_its_weights(key: Key, other: Key) -> Key:
    return replace(key, weights=other.weights)


def _with_its_files(key: Key, other: Key) -> Key:
    """The files alone; the key itself where they are from elsewhere: the row of the source says what that does."""
    return _with_its_weights(key, other) if key.weights.source == other.weights.source else key


def _effect(keys: Sequence[Key | None], taken: Callable[[Key, Key], Key], *, weights: bool = False) -> str:
    """What the judge refuses between a key and itself with one field *taken* from another; "" if nothing.

    Stand-in weights keep a key from being compared even with itself: that is told in the rows of the *weights* alone.
    """
    known = [key for key in keys if key is not None]
    if len(known) < len(keys):
        return "blocks all"
    pairs = [(key, its) for key, other in permutations(known, 2) if (its := taken(key, other)) is not key]
    blocked = frozenset(
        word
        for word, name in _CLASSES.items()
        for key, its in pairs
        if set(obstacles(key, its, _probe(name))) - set(() if weights else obstacles(key, key, _probe(name)))
    )
    return _WORDS.get(blocked, f"blocks {', '.join(word for word in _CLASSES if word in blocked)}") if blocked else ""


def _probe(name: str) -> Metric:
    return metric(name, None, reason="only its kind and its unit matter here")


def _short(value: Any) -> str:
    """Write a value in few characters: of a hash its start."""
    if value is None:
        return UNKNOWN
    text = str(value)
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):  # noqa: PLR2004 - sha256 in hexadecimal
        return text[:_SHORT_HASH]
    return text if len(text) <= _SHORT_TEXT else text[: _SHORT_TEXT - 1] + "…"
