"""Facts about the machine, the versions and the code that do not change while a session runs.

They never include a user name, a host name or a home directory. An unknown fact is None and never absent, so the keys
are the same on every system. Facts that change during a session are in `load`.
"""

import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import psutil

from harness.machine import load, os_queries
from harness.paths import without_home

_PACKAGES = (
    "tunebench",
    "mlx",
    "mlx-cpu",
    "mlx-metal",
    "mlx-cuda",
    "mlx-cuda-12",
    "mlx-cuda-13",
    "mlx-lm",
    "numpy",
    "transformers",
    "tokenizers",
    "huggingface_hub",
    "msgspec",
    "scipy-openblas32",
)
_SYSCTLS = (
    "machdep.cpu.brand_string",
    "hw.perflevel0.physicalcpu",  # performance cores
    "hw.perflevel1.physicalcpu",  # efficiency cores
    "kern.hv_vmm_present",
)
_VARIABLES = ("MLX_", "OMP_", "OPENBLAS_", "VECLIB_", "MKL_", "CUDA_VISIBLE_", "TUNEBENCH_BLAS")
_UNLIMITED_BYTES = 1 << 60  # cgroup v1 represents "no limit" by a number near 2^63

load_and_power = load.load_and_power  # so that callers who store an environment need this module alone


def operating_system() -> dict[str, Any]:
    """Return facts about the system, its processor and memory, and the limits of the container."""
    control = sysctl(os_queries.output("sysctl", "-i", *_SYSCTLS)) if platform.system() == "Darwin" else {}
    cpuinfo = os_queries.text("proc/cpuinfo") or ""
    return {
        "system": platform.system(),
        "name": _name(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "processor": control.get("machdep.cpu.brand_string") or model_name(cpuinfo) or platform.processor() or None,
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "performance_cores": os_queries.number(control.get("hw.perflevel0.physicalcpu")),
        "efficiency_cores": os_queries.number(control.get("hw.perflevel1.physicalcpu")),
        "gpu_cores": gpu_cores(os_queries.output("ioreg", "-rc", "AGXAccelerator", "-d1")),
        "memory_bytes": psutil.virtual_memory().total,
        "cpu_limit_cores": cpu_limit_cores(*_cpu_quota()),
        "memory_limit_bytes": memory_limit_bytes(
            os_queries.text("sys/fs/cgroup/memory.max") or os_queries.text("sys/fs/cgroup/memory/memory.limit_in_bytes")
        ),
        "virtual": is_virtual(cpuinfo, control),
        "variables": variables(),
    }


def variables() -> dict[str, str]:
    """Return the environment variables that affect the speed or the libraries of computations."""
    return {name: without_home(value) for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)}


def packages() -> dict[str, str | None]:
    """Return the versions of packages that a measurement depends on; None if not installed."""
    return {name: _version(name) for name in _PACKAGES}


def compiler() -> str | None:
    """Return the name and version of the C++ compiler that mx.compile uses on the CPU; None without one."""
    return next(iter(without_home(os_queries.output("g++", "--version") or "").splitlines()), None)


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return the commit of the checkout that *directory* is in, and if it has changes; None outside a checkout."""
    commit = os_queries.output("git", "rev-parse", "HEAD", directory=directory)
    status = os_queries.output("git", "status", "--porcelain", "--untracked-files=no", directory=directory)
    return None if commit is None else {"commit": commit, "dirty": None if status is None else bool(status)}


def measured_code() -> str:
    """Return the SHA-256 of names and sources of all harness modules that this process has loaded."""
    sources = {}
    for module in list(sys.modules.values()):
        specification, file = getattr(module, "__spec__", None), getattr(module, "__file__", None)
        if specification is not None and file is not None and specification.name.partition(".")[0] == "harness":
            sources[specification.name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return hashlib.sha256(
        "".join(f"{name} {digest}\n" for name, digest in sorted(sources.items())).encode()
    ).hexdigest()


def sysctl(printed: str | None) -> dict[str, str]:
    """Parse the output of `sysctl NAME...`: lines of "name: value"."""
    lines = (line.partition(": ") for line in (printed or "").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


def gpu_cores(printed: str | None) -> int | None:
    """Parse the number of GPU cores from the output of `ioreg -rc AGXAccelerator`."""
    match = re.search(r'"gpu-core-count" = (\d+)', printed or "")
    return int(match[1]) if match else None


def model_name(cpuinfo: str) -> str | None:
    """Parse the name of the processor from /proc/cpuinfo."""
    match = re.search(r"^model name\s*:(.*)$", cpuinfo, flags=re.MULTILINE)
    return match[1].strip() if match else None


def cpu_limit_cores(quota: str | None, period: str | None) -> float | None:
    """Return the cores that a control group may use at a time; None without a limit. Arguments are in microseconds."""
    quota_us, period_us = os_queries.number(quota), os_queries.number(period)
    return round(quota_us / period_us, 2) if quota_us and period_us and quota_us > 0 and period_us > 0 else None


def memory_limit_bytes(limit: str | None) -> int | None:
    """Return the bytes that a control group may use; None without a limit."""
    size = os_queries.number(limit)
    return size if size is not None and size < _UNLIMITED_BYTES else None


def is_virtual(cpuinfo: str, control: dict[str, str]) -> bool | None:
    """Detect a virtual machine from /proc/cpuinfo or sysctl; None if unknown, as on Arm under Linux."""
    if (present := control.get("kern.hv_vmm_present")) is not None:
        return present == "1"
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, flags=re.MULTILINE)
    return "hypervisor" in flags[1].split() if flags else None


def _cpu_quota() -> tuple[str | None, str | None]:
    """Return CPU quota and period of this control group, from cgroup version 2 or else version 1."""
    if (both := os_queries.text("sys/fs/cgroup/cpu.max")) is not None:
        quota, _, period = both.partition(" ")
        return quota, period
    return os_queries.text("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), os_queries.text("sys/fs/cgroup/cpu/cpu.cfs_period_us")


def _name() -> str | None:
    """Return the name of the operating system: "macOS 15.1", "Debian GNU/Linux 12 (bookworm)"."""
    if version := platform.mac_ver()[0]:
        return f"macOS {version}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
