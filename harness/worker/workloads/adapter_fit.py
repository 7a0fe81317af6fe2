"""Check that adapters fit a model, before anything is measured.

Nothing is read into memory: the weights are opened lazily, and the adapter's matrices are never drawn.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.errors import HarnessError
from harness.inputs.model_dir import read_config
from harness.inputs.plans import AdapterConfig, ReadyModel, TrainingPlan
from harness.worker import mlxlm


def check(ready: ReadyModel, trials: Sequence[tuple[AdapterConfig, TrainingPlan]]) -> None:
    """Refuse weights of another architecture, adapters that do not fit the model, and unknown optimizers.

    Raises:
        HarnessError: naming every problem of every adapter.
    """
    directory = Path(ready.directory)
    mlxlm.load_lazily(directory)
    model_type = read_config(directory)["model_type"]
    problems = []
    for adapter, plan in trials:
        checks = (
            partial(mlxlm.attach_adapter, mlxlm.load_lazily(directory), adapter, model_type),
            partial(mlxlm.check_trainer, plan),
        )
        for check in checks:
            try:
                check()
            except HarnessError as error:
                prefix = "" if str(error).startswith(f"adapter {adapter.name}") else f"adapter {adapter.name}: "
                problems.append(f"{ready.config.name}: {prefix}{error}")
    if problems:
        raise HarnessError("\n".join(problems))
