"""Models x adapters to cases with stable ids. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import BadConfig
from harness.inputs.plans import BASE, AdapterConfig, Case, ModelConfig, Profile, Quantization

# In the order they run: evaluation and inference use what training leaves.
SUITES = ("training", "evaluation", "inference")


def matrix(
    suite: str,
    models: Sequence[ModelConfig],
    adapters: Sequence[AdapterConfig],
    profile: Profile,
    quantization: Quantization | None = None,
) -> list[Case]:
    """List the cases of a suite. Training has one for each adapter; the others measure the bare model too.

    An adapter config that names its models goes with these alone. A bare model is measured as each of its
    adapters had it: on the same data (they matter in evaluation), quantised alike.

    Raises:
        BadConfig: if two models, or two adapters, would share a case id.
    """
    cases = [case for model in models for case in _of_model(suite, model, adapters, profile, quantization)]
    twice = sorted(case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1)
    if twice:
        raise BadConfig("the matrix", [f"two cases are called {case_id}; rename one of them" for case_id in twice])
    return cases


def _of_model(
    suite: str,
    model: ModelConfig,
    adapters: Sequence[AdapterConfig],
    profile: Profile,
    quantization: Quantization | None,
) -> Iterator[Case]:
    tuned = [
        Case(
            suite=suite,
            model=model,
            adapter=its,
            training=profile.training_of(its),
            quantization=its.quantization or quantization,
            variant=its.name,
        )
        for its in adapters
        if not its.models or model.name in its.models
    ]
    if suite != "training":
        bare = Case(suite=suite, model=model, adapter=None, training=profile.training_of(), quantization=quantization)
        yield from _told_apart([_base_of(its, bare) for its in tuned] or [bare])
    yield from tuned


def _told_apart(bases: Sequence[Case]) -> list[Case]:
    """Each base once. Where two that differ would be called the same, all of that name carry a part of a hash."""
    each = list(dict.fromkeys((base.variant, base.training.dataset, base.quantization) for base in bases))
    names = Counter(variant for variant, *_ in each)
    found: dict[str, Case] = {}
    for base in bases:
        what = f"{base.training.dataset} {base.quantization}"
        ending = f"-{hashlib.sha256(what.encode()).hexdigest()[:6]}" if names[base.variant] > 1 else ""
        found[base.variant + ending] = replace(base, variant=base.variant + ending)
    return list(found.values())


def _base_of(tuned: Case, usual: Case) -> Case:
    """The bare model to compare *tuned* with. Its name says in what it is not the *usual* one."""
    training, variant = usual.training, BASE
    if tuned.suite == "evaluation":
        its = tuned.training
        training = replace(training, dataset=its.dataset, split_rows=its.split_rows)
        if its.dataset != usual.training.dataset:
            name = its.dataset.rstrip("/").rpartition("/")[2].rpartition(":")[2]
            variant += f"-{re.sub(r'[^a-z0-9._-]+', '-', name.lower())}"
        if its.split_rows is not None and its.split_rows != usual.training.split_rows:
            variant += "".join(f"-{rows}" for rows in its.split_rows)
    if tuned.quantization is not None and tuned.quantization != usual.quantization:
        variant += f"-{tuned.quantization.bits}bit"
    return replace(usual, training=training, quantization=tuned.quantization, variant=variant)
