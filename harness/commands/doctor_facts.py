"""Gathers what `tunebench doctor` judges: from a worker, and without one if it fails."""

from dataclasses import replace
from pathlib import Path

from harness.errors import HarnessError
from harness.inputs import hub
from harness.machine import energy, environment, os_queries
from harness.machine.doctor import Facts
from harness.paths import cache_dir, without_home
from harness.results.records import Environment
from harness.session import worker_requests


def gather(results_dir: Path) -> Facts:
    """Look at the machine, first of all at what else it is doing: the worker's own work would count."""
    power = environment.load_and_power()
    failure = None
    try:
        seen = replace(worker_requests.examine(), power=power)
    except HarnessError as error:
        failure = without_home(str(error))
        seen = Environment(
            device={},
            os=environment.operating_system(),
            packages=environment.packages(),
            blas={},
            roofline={},
            power=power,
            compiler=environment.compiler(),
        )
    meter = energy.open_meter()
    return Facts(
        environment=seen,
        failure=failure,
        hub_problem=hub.unreachable(),
        energy_parts=tuple(meter.joules()),
        energy_reason=meter.reason,
        results_free_bytes=os_queries.free_bytes(results_dir),
        cache_free_bytes=os_queries.free_bytes(cache_dir()),
    )
