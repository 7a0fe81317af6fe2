"""Models x adapters to cases with stable ids. Pure."""

from collections import Counter
from collections.abc import Sequence

from harness.errors import BadConfig
from harness.plans import AdapterConfig, Case, ModelConfig

# In the order they run: evaluation and inference use what training leaves.
SUITES = ("training", "evaluation", "inference")


def matrix(suite: str, models: Sequence[ModelConfig], adapters: Sequence[AdapterConfig]) -> list[Case]:
    """List the cases of a suite. Training has one for each adapter; the others measure the bare model too.

    Raises:
        BadConfig: if two models, or two adapters, would share a case id.
    """
    configs: Sequence[AdapterConfig | None] = adapters if suite == "training" else [None, *adapters]
    cases = [Case(suite=suite, model=model, adapter=adapter) for model in models for adapter in configs]
    twice = sorted(case_id for case_id, count in Counter(case.id for case in cases).items() if count > 1)
    if twice:
        raise BadConfig("the matrix", [f"two cases are called {case_id}; rename one of them" for case_id in twice])
    return cases
