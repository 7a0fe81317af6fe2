from dataclasses import replace

import pytest

from harness.analysis.comparability import Keyed, matrix
from harness.analysis.judge import obstacles
from harness.results.metrics import DEFINITIONS, metric
from tests.support.samples import environment, key, weights

PLAIN = key(
    adapter={"name": "r8", "rank": 8},
    dataset={"name": "aphorisms", "sha256": "c" * 64, "rows": {"train": 8}},
    quantization={"bits": 4, "group_size": 64, "bits_per_weight": 4.5},
    settings={"iters": 20, "seed": 1},
)
OTHERWISE = {
    "model": {"model": "other"},
    "weights sha256": {"weights": weights(sha256="d" * 64)},
    "weights source": {"weights": weights(source="path")},
    "tokenizer": {"tokenizer": "e" * 64},
    "dtype": {"dtype": "bfloat16"},
    "quantization": {"quantization": None},
    "quantization.bits": {"quantization": {**PLAIN.quantization, "bits": 8}},
    "quantization.bits_per_weight": {"quantization": {**PLAIN.quantization, "bits_per_weight": 4.7}},
    "adapter": {"adapter": {"name": "r16", "rank": 16}},
    "dataset": {"dataset": None},
    "dataset.sha256": {"dataset": {**PLAIN.dataset, "sha256": "f" * 64}},
    "device": {"device": "cpu: Two"},
    "settings.iters": {"settings": {"iters": 40, "seed": 1}},
    "settings.extra": {"settings": {"iters": 20, "seed": 1, "extra": True}},
}
BLOCKS = {  # what each effect forbids, said anew: a metric is told by its unit and its kind
    "blocks all": lambda definition: True,
    "blocks losses per token and token rates": lambda definition: "token" in definition.unit or definition.unit == "1",
    "blocks losses and quality": lambda definition: definition.kind.value in {"loss", "quality"},
    "what is compared": lambda definition: False,
    "none": lambda definition: False,
}


def rows(*columns):
    return {row.field: row for row in matrix(columns)}


def differing(*keys):
    named = [Keyed(name=str(number), key=case_key, environment=environment()) for number, case_key in enumerate(keys)]
    return {field: row for field, row in rows(*named).items() if not row.equal}


@pytest.mark.parametrize("field", OTHERWISE)
def test_a_field_that_differs_is_the_one_row_that_says_so(field):
    assert list(differing(PLAIN, replace(PLAIN, **OTHERWISE[field]))) == [field]


@pytest.mark.parametrize("field", OTHERWISE)
@pytest.mark.parametrize("turned", [False, True])
def test_the_effect_of_a_field_is_what_the_judge_says_of_every_metric(field, turned):
    other = replace(PLAIN, **OTHERWISE[field])
    pair = (other, PLAIN) if turned else (PLAIN, other)
    effect = differing(*pair)[field].effect
    for name, definition in DEFINITIONS.items():
        refused = bool(obstacles(*pair, metric(name, None, reason="none")))
        assert refused == BLOCKS[effect](definition), f"{effect}, but obstacles says {refused} of {name}"


@pytest.mark.parametrize(
    ("sources", "hashes", "effect"),
    [
        (("hub", "nano"), ("a", "b"), "blocks all"),
        (("nano", "hub"), ("a", "b"), "blocks all"),
        (("random", "nano"), ("a", "b"), "blocks all"),
        (("hub", "path"), ("a", "b"), "none"),
        (("nano", "nano"), ("a", "a"), "blocks losses and quality"),
        (("random", "random"), ("a", "b"), "blocks losses and quality"),
        (("hub", "hub"), ("a", "b"), "none"),
    ],
)
def test_the_source_of_the_weights_says_what_they_can_be_compared_in(sources, hashes, effect):
    a, b = (
        replace(PLAIN, weights=weights(source=source, sha256=sha256))
        for source, sha256 in zip(sources, hashes, strict=True)
    )
    assert rows(Keyed(name="a", key=a), Keyed(name="b", key=b))["weights source"].effect == effect
    for name, definition in DEFINITIONS.items():
        refused = bool(obstacles(a, b, metric(name, None, reason="none")))
        assert refused == BLOCKS[effect](definition), name


def test_different_stand_ins_of_one_kind_block_all_by_their_files():
    a, b = (replace(PLAIN, weights=weights(source="nano", sha256=sha256)) for sha256 in "ab")
    assert differing(a, b)["weights sha256"].effect == "blocks all"
    assert differing(PLAIN, replace(PLAIN, weights=weights(sha256="b")))["weights sha256"].effect == "what is compared"


def test_stand_ins_are_held_against_the_weights_and_against_nothing_else():
    nano = replace(PLAIN, weights=weights(source="nano"))
    found = rows(Keyed(name="a", key=nano), Keyed(name="b", key=replace(nano, tokenizer="e" * 64)))
    assert found["tokenizer"].effect == "blocks losses per token and token rates"
    assert found["dtype"].effect == "none"


def test_adapters_of_one_name_that_are_set_otherwise_differ():
    found = differing(PLAIN, replace(PLAIN, adapter={"name": "r8", "rank": 16}))
    assert found["adapter"].values == ("r8", "r8")


def test_three_columns_are_equal_only_if_all_are():
    found = differing(PLAIN, PLAIN, replace(PLAIN, tokenizer="e" * 64))
    assert found["tokenizer"].values == ("b" * 12, "b" * 12, "e" * 12)
    assert found["tokenizer"].effect == "blocks losses per token and token rates"
    assert list(differing(PLAIN, replace(PLAIN, tokenizer="e" * 64), PLAIN)) == ["tokenizer"]


def test_weights_from_elsewhere_are_held_against_their_source_once():
    found = differing(PLAIN, replace(PLAIN, weights=weights(source="nano", sha256="d")))
    assert found["weights sha256"].effect == "what is compared"


def test_what_is_known_of_no_column_is_not_called_equal():
    assert not any(row.equal for row in matrix([Keyed(name="a", key=None), Keyed(name="b", key=None)]))


def test_a_case_that_was_never_identified_blocks_all_and_is_unknown():
    found = rows(Keyed(name="a", key=PLAIN, environment=environment()), Keyed(name="b", key=None))
    assert (found["device"].values, found["device"].effect) == (("gpu: One", "unknown"), "blocks all")
    assert not found["device"].equal
    assert not found["mlx"].equal


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("mlx", {"packages": {"mlx": "0.32.0"}}),
        ("operating system", {"os": {"system": "Darwin", "release": "6.1"}}),
        ("tunebench code", {"code": "9" * 64}),
        ("mlx-lm", {"packages": {"mlx": "0.31.0", "mlx-lm": "0.30"}}),
    ],
)
def test_versions_and_system_make_a_comparison_directional(field, changed):
    a = Keyed(name="a", key=PLAIN, environment=environment())
    b = Keyed(name="b", key=PLAIN, environment=environment(**changed))
    found = rows(a, b)
    assert {name for name, row in found.items() if not row.equal} == {field}
    assert (found[field].effect, rows(a, a)[field].effect) == ("directional", "none")


def test_equal_columns_have_one_row_a_part_and_nothing_against_them():
    found = rows(*[Keyed(name=name, key=PLAIN, environment=environment()) for name in "ab"])
    assert list(found) == [
        "model", "weights source", "weights sha256", "tokenizer", "dtype", "quantization", "adapter", "dataset",
        "device", "settings", "mlx", "mlx-lm", "operating system", "tunebench code",
    ]  # fmt: skip
    assert {row.effect for row in found.values()} == {"none", "what is compared"}
    assert found["settings"].values == ("2 fields: iters, seed",) * 2
    assert found["dataset"].values == ("aphorisms",) * 2


def test_long_values_are_cut_and_marked():
    found = differing(replace(PLAIN, device="y" * 40), replace(PLAIN, device="x" * 41))
    assert found["device"].values == ("y" * 40, "x" * 39 + "…")
