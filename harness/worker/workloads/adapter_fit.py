"""Whether adapters fit a model: found out before anything is measured, on the model as it lies on the disk.

Nothing is read into memory: the weights are looked at lazily, and the adapter's matrices are never drawn.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from harness.errors import HarnessError
from harness.inputs.model_dir import read_config
from harness.inputs.plans import AdapterConfig, ReadyModel, TrainingPlan
from harness.worker import mlxlm


def check(ready: ReadyModel, trials: Sequence[tuple[AdapterConfig, TrainingPlan]]) -> None:
    """Refuse a model whose weights are of another architecture, adapters that do not fit it, and unknown optimizers.

    Raises:
        HarnessError: naming everything that is wrong with all of them.
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
                where = "" if str(error).startswith(f"adapter {adapter.name}") else f"adapter {adapter.name}: "
                problems.append(f"{ready.config.name}: {where}{error}")
    if problems:
        raise HarnessError("\n".join(problems))
