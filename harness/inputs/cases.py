"""The matrix of cases: every suite with every model and adapter, with ids that stay the same."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import BadConfig
from harness.inputs.plans import AdapterConfig, Case, ModelConfig, Profile, Quantization, Suite
from harness.results.case_id import BASE

SUITES = tuple(suite.value for suite in Suite)


def matrix(
    suite: str,
    models: Sequence[ModelConfig],
    adapters: Sequence[AdapterConfig],
    profile: Profile,
    quantization: Quantization | None = None,
) -> list[Case]:
    """List the cases of a suite: one per adapter and, except in training, one of the base model to compare with.

    An adapter config that names models is used with those models alone. The base model is measured under the
    conditions of each adapter: on the same dataset (in evaluation) and with the same quantization.

    Raises:
        BadConfig: if two models, or two adapters, would share a case id.
    """
    cases = [case for model in models for case in _cases_of_model(Suite(suite), model, adapters, profile, quantization)]
    duplicates = sorted(case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1)
    if duplicates:
        raise BadConfig("the matrix", [f"two cases are called {case_id}; rename one of them" for case_id in duplicates])
    return cases


def _cases_of_model(
    suite: Suite,
    model: ModelConfig,
    adapters: Sequence[AdapterConfig],
    profile: Profile,
    quantization: Quantization | None,
) -> Iterator[Case]:
    tuned = [
        Case(
            suite=suite,
            model=model,
            adapter=adapter,
            training=profile.training_of(adapter),
            quantization=adapter.quantization or quantization,
            variant=adapter.name,
        )
        for adapter in adapters
        if not adapter.models or model.name in adapter.models
    ]
    if suite is not Suite.TRAINING:
        base = Case(suite=suite, model=model, adapter=None, training=profile.training_of(), quantization=quantization)
        yield from _distinct_bases([_base_of(case, base) for case in tuned] or [base])
    yield from tuned


def _distinct_bases(bases: Sequence[Case]) -> list[Case]:
    """Return each base case once; where different ones share a name, every one of that name gets a hash suffix."""
    settings = list(dict.fromkeys((base.variant, base.training.dataset, base.quantization) for base in bases))
    names = Counter(variant for variant, *_ in settings)
    distinct: dict[str, Case] = {}
    for base in bases:
        difference = f"{base.training.dataset} {base.quantization}"
        suffix = f"-{hashlib.sha256(difference.encode()).hexdigest()[:6]}" if names[base.variant] > 1 else ""
        distinct[base.variant + suffix] = replace(base, variant=base.variant + suffix)
    return list(distinct.values())


def _base_of(tuned: Case, usual: Case) -> Case:
    """Return the base case to compare *tuned* with; the variant names each setting that is not the *usual* one."""
    training, variant = usual.training, BASE
    if tuned.suite is Suite.EVALUATION:
        plan = tuned.training
        training = replace(training, dataset=plan.dataset, split_rows=plan.split_rows)
        if plan.dataset != usual.training.dataset:
            name = plan.dataset.rstrip("/").rpartition("/")[2].rpartition(":")[2]
            variant += f"-{re.sub(r'[^a-z0-9._-]+', '-', name.lower())}"
        if plan.split_rows is not None and plan.split_rows != usual.training.split_rows:
            variant += "".join(f"-{rows}" for rows in plan.split_rows)
    if tuned.quantization is not None and tuned.quantization != usual.quantization:
        variant += f"-{tuned.quantization.bits}bit"
    return replace(usual, training=training, quantization=tuned.quantization, variant=variant)
