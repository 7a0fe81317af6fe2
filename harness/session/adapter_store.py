"""Trained adapters of one run: where they lie, whether they are trained, and what each depends on."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness.inputs.plans import Case, Suite
from harness.session.prepared_models import PreparedModels
from harness.session.resume import read_identity, write_identity


def artifact_path(case: Case) -> str:
    """Return where the files that *case* leaves lie, relative to the run's directory."""
    return f"artifacts/{case.id}"


def training_of(case: Case) -> Case:
    """Return the training case whose adapter *case* uses."""
    return replace(case, suite=Suite.TRAINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterStore:
    """Adapters under the directory of one run, each in the directory of its training case."""

    run_directory: Path
    prepared: PreparedModels

    def directory_of(self, case: Case) -> Path:
        """Return the directory into which the adapter of *case* is trained."""
        return self.run_directory / artifact_path(training_of(case))

    def weights_of(self, case: Case) -> Path:
        """Return the directory with the final weights of the adapter of *case*; it exists once training has ended."""
        return self.directory_of(case) / "final"

    def is_trained(self, case: Case) -> bool:
        """Return whether the adapter of *case* is there."""
        return self.weights_of(case).is_dir()

    def mark_trained(self, case: Case) -> None:
        """Store what the adapter of *case*, trained just now, depends on.

        Raises:
            Unwritable: if it cannot be written.
        """
        write_identity(self.directory_of(case), self.prepared.identity(training_of(case)))

    def discard_outdated(self, case: Case) -> None:
        """Delete the adapter of *case* if training it today would depend on anything else."""
        directory = self.directory_of(case)
        if read_identity(directory) != self.prepared.identity(training_of(case)):
            shutil.rmtree(directory, ignore_errors=True)
