import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from harness.errors import BadWeights, HarnessError
from harness.inputs.model_dir import read_config, write_json
from harness.inputs.plans import AdapterConfig, AdapterKind
from harness.worker.workloads import adapter_fit

GOOD = AdapterConfig(name="good", rank=8, scale=20.0, layers=16, keys="qv")


def test_what_fits_is_let_through_without_reading_the_weights(nano, tiny_profile):
    before = mx.get_active_memory()
    adapter_fit.check(
        nano("gpt2"), [(GOOD, tiny_profile.training), (replace(GOOD, kind=AdapterKind.DORA), tiny_profile.training)]
    )
    assert mx.get_active_memory() - before < 100_000


def test_everything_that_does_not_fit_is_named_at_once(nano, tiny_profile):
    plan = tiny_profile.training
    trials = [
        (replace(GOOD, name="typo", keys={"default": ("self_attn.q_pro",)}), plan),
        (GOOD, plan),
        (replace(GOOD, name="large", rank=999), plan),
        (replace(GOOD, name="odd"), replace(plan, optimizer_options={"momentum": 0.9})),
    ]
    with pytest.raises(HarnessError) as refusal:
        adapter_fit.check(nano("tinyllama"), trials)
    lines = [line for line in str(refusal.value).splitlines() if not line.startswith("  ")]
    assert lines == [
        "tinyllama: adapter typo: 1 problem",
        "tinyllama: adapter large: 2 problems",
        "tinyllama: adapter odd: training.optimizer_options: 1 problem",
    ]
    assert "Did you mean 'self_attn.q_proj'?" in str(refusal.value)


def test_weights_of_another_architecture_are_refused_whatever_is_to_be_trained(nano, tmp_path):
    path = shutil.copytree(nano("tinyllama").directory, tmp_path / "odd")
    write_json(path / "config.json", read_config(Path(nano("qwen").directory)))
    with pytest.raises(BadWeights, match=r"config\.json and weights do not make a 'qwen2' model"):
        adapter_fit.check(replace(nano("tinyllama"), directory=str(path)), [])
