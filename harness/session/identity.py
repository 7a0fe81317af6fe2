"""Identity of a case: everything its readings depend on, part by part.

Cases with equal identities need not be measured again. Each part is a hash or a version, so that a resumed run can
name the parts that have changed.
"""

import hashlib
from collections.abc import Mapping

from harness.inputs.datasets import prompts_of, read_dataset
from harness.inputs.plans import Case, Profile, ReadyModel, Suite
from harness.inputs.prompts import PLAIN_FAMILY, SCENARIOS, Prompt, read_chat_template, read_prompts
from harness.results import codec
from harness.results.records import Environment

Identity = dict[str, str]
_MACHINE = ("processor", "cores", "threads", "cpu_limit_cores", "memory_bytes")


def identify(case: Case, ready: ReadyModel, profile: Profile, environment: Environment) -> Identity:
    """Return everything the readings of *case* depend on, as one hash or version for each part.

    Raises:
        HarnessError: if the dataset of the case, or a prompt set, does not exist or cannot be read.
    """
    trains = case.suite is not Suite.INFERENCE or case.adapter is not None
    dataset = read_dataset(case.training.dataset, case.training.split_rows) if trains else None
    prompts: tuple[Prompt, ...] = ()
    if case.suite is Suite.EVALUATION and dataset is not None:
        prompts = prompts_of(dataset)
    if case.suite is Suite.INFERENCE:
        prompts = tuple(prompt for scenario in SCENARIOS for prompt in read_prompts(scenario))
    work = {
        Suite.TRAINING: None,
        Suite.EVALUATION: profile.max_answer_tokens,
        Suite.INFERENCE: profile.inference,
    }[case.suite]
    return {
        "weights": ready.weights.sha256,
        "tokenizer": _digest(ready.tokenizer, read_chat_template(PLAIN_FAMILY)),
        "data": _digest(None if dataset is None else dataset.facts(), prompts),
        "config": _digest(case.adapter, case.quantization, case.training if trains else None, work),
        "code": environment.code or "unknown",
        "versions": _digest(
            environment.packages, environment.os.get("python"), environment.blas.get("library"), environment.compiler
        ),
        "device": _digest(environment.device.get("name"), [environment.os.get(fact) for fact in _MACHINE]),
        "variables": _digest(environment.os.get("variables")),
    }


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the names of the parts that differ."""
    return [part for part in new if old.get(part) != new[part]]


def _digest(*values: object) -> str:
    return hashlib.sha256(codec.encode(values)).hexdigest()
