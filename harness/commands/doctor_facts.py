"""Facts that `tunebench doctor` judges, gathered from a worker process and, if that fails, without one."""

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
    """Describe the machine. Its load is read first, before the worker adds to it."""
    power = environment.load_and_power()
    failure = None
    try:
        machine = replace(worker_requests.examine(), power=power)
    except HarnessError as error:
        failure = without_home(str(error))
        machine = Environment(
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
        environment=machine,
        failure=failure,
        hub_problem=hub.unreachable(),
        energy_parts=tuple(meter.joules()),
        energy_reason=meter.reason,
        results_free_bytes=os_queries.free_bytes(results_dir),
        cache_free_bytes=os_queries.free_bytes(cache_dir()),
    )
