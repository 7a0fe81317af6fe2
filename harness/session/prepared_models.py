"""Base models that a session has prepared: the jobs that measure them, and what their readings depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.inputs.datasets import pinned
from harness.inputs.plans import Case, Job, Profile, Quantization, ReadyModel, Work
from harness.results.records import Environment
from harness.session.identity import Identity, identify

BaseModelKey = tuple[str, Quantization | None]  # cases with an equal key share one prepared model


def base_model_key(case: Case) -> BaseModelKey:
    """Return the key of the base model that *case* measures."""
    return case.model.name, case.quantization


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModels:
    """Prepared base models of one session, with the profile and the machine they are measured on."""

    profile: Profile
    environment: Environment
    models: Mapping[BaseModelKey, ReadyModel]

    def model_of(self, case: Case) -> ReadyModel:
        """Return the prepared base model of *case*."""
        return self.models[base_model_key(case)]

    def identity(self, case: Case) -> Identity:
        """Return everything that the readings of *case* depend on.

        Raises:
            HarnessError: if its dataset or a prompt set cannot be read.
        """
        return identify(case, self.model_of(case), self.profile, self.environment)

    def job(self, case: Case, work: Work, adapter_dir: Path | None) -> Job:
        """Describe one worker's job: do *work* with the model and the adapter of *case*.

        The dataset is pinned to the commit that this session reads, so that all its workers see the same rows.
        """
        training = replace(case.training, dataset=pinned(case.training.dataset))
        return Job(
            work=work,
            ready=self.model_of(case),
            adapter=case.adapter,
            adapter_dir=None if adapter_dir is None else str(adapter_dir),
            profile=replace(self.profile, training=training),
        )
