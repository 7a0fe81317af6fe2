"""Checks of an adapter around training and evaluation: what is refused, doubted, measured and noted."""

from dataclasses import replace
from types import SimpleNamespace

import mlx.core as mx
import pytest
from mlx import nn
from mlx.utils import tree_flatten, tree_map

from harness.errors import BadConfig
from harness.inputs.config_files import read_adapter
from harness.inputs.plans import AdapterKind, Job, Work
from harness.worker import mlxlm
from harness.worker.prediction_agreement import Agreement
from harness.worker.workloads import evaluation, fuse_cost, training
from harness.worker.workloads.adapter_check import check_effect
from harness.worker.workloads.context import Context

QV = read_adapter("qv-r8")


def context_for(nano, profile, stopwatch, adapter=QV, **job):
    return Context(
        job=Job(work=Work.EVALUATION, ready=nano("tinyllama"), profile=profile, adapter=adapter, **job),
        device="cpu: test",
        progress=lambda *values: None,
        stopwatch=stopwatch,
    )


@pytest.fixture
def adapter_dir(load_nano, tmp_path):
    """Saves an adapter of the stand-in, as far from its beginning as *by* says."""

    def save(by, adapter=QV):
        loaded = load_nano("tinyllama")
        attached = mlxlm.attach_adapter(loaded.model, adapter, "llama")
        loaded.model.update(tree_map(lambda value: value + by, loaded.model.trainable_parameters()))
        mlxlm.save_adapter(loaded.model, attached, tmp_path)
        return str(tmp_path)

    return save


def test_a_sound_adapter_is_measured_fused_and_not_doubted(nano, tiny_profile, stepping_stopwatch, adapter_dir):
    context = context_for(nano, tiny_profile, stepping_stopwatch, adapter_dir=adapter_dir(0.02))
    sample = evaluation.measure(context)
    assert context.doubts == []
    assert sample.readings["fused_kl_nat_per_token"].labels == ("plain",)
    assert sample.readings["fused_kl_nat_per_token"].values[0] < 1e-6
    assert sample.readings["fused_top1_agreement"].values == (1.0,)
    assert sample.readings["adapter_kl_nat_per_token"].values[0] > 1e-4
    assert sample.notes == ()
    assert "fuse" in sample.readings["peak_active_bytes"].labels


def test_a_case_without_an_adapter_says_so(nano, tiny_profile, stepping_stopwatch):
    sample = evaluation.measure(context_for(nano, tiny_profile, stepping_stopwatch))
    for name in ("adapter_kl_nat_per_token", "fused_kl_nat_per_token", "fused_top1_agreement"):
        assert sample.readings[name].reason == "no adapter: there is nothing to fuse"


def test_full_training_has_nothing_to_fuse(nano, load_nano, tiny_profile, stepping_stopwatch):
    context = context_for(nano, tiny_profile, stepping_stopwatch, adapter_dir="somewhere")
    readings, notes = fuse_cost.measure(context, load_nano("tinyllama"), [[1, 2]])
    assert readings["fused_top1_agreement"].reason.startswith("all weights were trained")
    assert notes == ()


def test_a_trained_adapter_that_changes_nothing_is_doubted(nano, tiny_profile, stepping_stopwatch, adapter_dir):
    context = context_for(nano, tiny_profile, stepping_stopwatch, adapter_dir=adapter_dir(0.0))
    evaluation.measure(context)
    (doubt,) = context.doubts
    assert doubt.startswith("the adapter changes nothing")


def test_an_adapter_of_another_config_is_refused_with_its_tensors(nano, tiny_profile, stepping_stopwatch, adapter_dir):
    """Of rank 16 instead of 8: each matrix of the last layers has the wrong shape. The file is named."""
    context = context_for(nano, tiny_profile, stepping_stopwatch, adapter_dir=adapter_dir(0.02, read_adapter("qv-r16")))
    with pytest.raises(BadConfig, match=r"adapters.safetensors: of another model or config than qv-r8.*\n.*has shape"):
        context.load_with_adapter(check=True)


def test_inference_does_not_pay_for_the_checks(nano, tiny_profile, stepping_stopwatch, adapter_dir, monkeypatch):
    monkeypatch.setattr(mlxlm, "logits", None)
    context = context_for(nano, tiny_profile, stepping_stopwatch, adapter_dir=adapter_dir(0.0))
    context.load_with_adapter()
    assert context.doubts == []


@pytest.mark.parametrize(("shift", "doubts"), [(0.0, []), (0.02, ["the adapter is untrained and moves the logits"])])
def test_an_adapter_that_starts_elsewhere_than_at_nothing_makes_a_training_doubtful(
    nano, tiny_profile, stepping_stopwatch, monkeypatch, shift, doubts
):
    def attach(model, *rest):
        attached = real(model, *rest)
        model.update(tree_map(lambda value: value + shift, model.trainable_parameters()))
        return attached

    real = mlxlm.attach_adapter
    monkeypatch.setattr(mlxlm, "attach_adapter", attach)
    profile = replace(tiny_profile, training=replace(tiny_profile.training, iters=2))
    context = context_for(nano, profile, stepping_stopwatch)
    training.measure(context)
    assert [doubt.partition(" by ")[0] for doubt in context.doubts] == doubts


@pytest.mark.parametrize(("by", "doubts"), [(0.02, []), (0.0, ["the adapter changes nothing"])])
def test_an_adapter_that_is_trained_on_must_change_something_from_the_start(
    nano, tiny_profile, stepping_stopwatch, adapter_dir, by, doubts
):
    profile = replace(tiny_profile, training=replace(tiny_profile.training, iters=2))
    context = context_for(nano, profile, stepping_stopwatch, replace(QV, resume=adapter_dir(by)))
    training.measure(context)
    assert [doubt.partition(":")[0] for doubt in context.doubts] == doubts


@pytest.mark.parametrize("kind", AdapterKind)
@pytest.mark.parametrize(("by", "doubts"), [(0.02, []), (0.0, ["the adapter changes nothing"])])
def test_every_kind_is_checked_when_it_is_loaded(nano, tiny_profile, stepping_stopwatch, adapter_dir, kind, by, doubts):
    """What it was trained on from is not looked at again: that may be gone."""
    adapter = (
        replace(QV, kind=kind)
        if kind is not AdapterKind.FULL
        else replace(QV, kind=kind, rank=None, scale=None, keys={})
    )
    directory = adapter_dir(by, adapter)
    context = context_for(
        nano, tiny_profile, stepping_stopwatch, replace(adapter, resume="gone"), adapter_dir=directory
    )
    loaded, _ = context.load_with_adapter(check=True)
    assert [doubt.partition(":")[0] for doubt in context.doubts] == doubts
    assert mlxlm.fuse_variants(loaded.model) == (() if kind is AdapterKind.FULL else ("plain",))


def test_the_check_leaves_the_seeded_draws_as_they_were(load_nano):
    """Else the same seed would train another adapter than it does in mlx-lm."""
    drawn = []
    for check in (False, True):
        loaded = load_nano("tinyllama")
        mlxlm.seed_everything(4)
        if check:
            with check_effect(loaded, [], mlxlm.doubt_about_fresh):
                mlxlm.attach_adapter(loaded.model, QV, "llama")
        else:
            mlxlm.attach_adapter(loaded.model, QV, "llama")
        drawn.append([*[value for _, value in tree_flatten(loaded.model.trainable_parameters())], mx.random.uniform()])
    assert all(mx.array_equal(one, other) for one, other in zip(*drawn, strict=True))


def test_each_variant_has_its_reading_and_a_lossy_one_its_note(
    nano, load_nano, tiny_profile, stepping_stopwatch, monkeypatch
):
    agreements = {
        "quantised": Agreement(tokens=4, kl_nat=2.0, same_top=3),
        "dequantised": Agreement(tokens=4, kl_nat=0.1, same_top=4),
    }
    bare = Agreement(tokens=4, kl_nat=3.0, same_top=1)
    monkeypatch.setattr(mlxlm, "fuse_variants", lambda model: tuple(agreements))
    monkeypatch.setattr(mlxlm, "fuse_agreements", lambda model, rows, batch: (agreements, bare))
    readings, notes = fuse_cost.measure(
        context_for(nano, tiny_profile, stepping_stopwatch), SimpleNamespace(model=None), []
    )
    assert readings["adapter_kl_nat_per_token"].values == (0.75,)
    assert readings["fused_kl_nat_per_token"].values == (0.5, 0.025)
    assert readings["fused_top1_agreement"].values == (0.75, 1.0)
    assert readings["fused_top1_agreement"].labels == readings["fused_kl_nat_per_token"].labels == tuple(agreements)
    assert [note[:26] for note in notes] == ["fuse_lossy: fused quantise"]


def test_a_four_bit_base_is_fused_both_ways(nano, load_nano, tiny_profile, stepping_stopwatch):
    loaded = load_nano("tinyllama")
    nn.quantize(loaded.model, group_size=32, bits=4)
    mlxlm.attach_adapter(loaded.model, QV, "llama")
    loaded.model.update(tree_map(lambda value: value + 0.0003, loaded.model.trainable_parameters()))
    loaded.model.eval()
    readings, notes = fuse_cost.measure(context_for(nano, tiny_profile, stepping_stopwatch), loaded, [[5, 6, 7, 8, 9]])
    assert readings["fused_kl_nat_per_token"].labels == ("quantised", "dequantised")
    assert [note.split(",")[0] for note in notes] == ["fuse_lossy: fused quantised"]
