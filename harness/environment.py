"""Facts about the machine, the versions and the code. The door to platform, psutil and git.

No user name, host name or home directory is ever among them.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    "tunebench",
    "mlx",
    "mlx-cpu",
    "mlx-metal",
    "mlx-cuda-13",
    "mlx-lm",
    "numpy",
    "transformers",
    "scipy-openblas32",
)
_GIT_TIMEOUT_S = 10.0


def operating_system() -> dict[str, Any]:
    """The system, its processor and its memory."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def packages() -> dict[str, str | None]:
    """The versions of what a measurement depends on; None for what is not installed."""
    return {name: _version(name) for name in _PACKAGES}


def load_and_power() -> dict[str, Any]:
    """What else the machine is doing. None where the system does not tell."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return {
        "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "memory_available_bytes": psutil.virtual_memory().available,
        "swap_used_bytes": psutil.swap_memory().used,
        "on_battery": None if battery is None else not battery.power_plugged,
    }


def compiler() -> str | None:
    """The C++ compiler that mx.compile uses on the CPU, as it names itself; None without one."""
    path = shutil.which("g++")
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - found on PATH
    return next(iter(done.stdout.splitlines()), None)


def git_state(directory: Path) -> dict[str, Any] | None:
    """The commit of the checkout *directory* lies in, and whether it has changes; None outside one."""
    git = shutil.which("git")
    if git is None:
        return None
    commit = _git(git, directory, "rev-parse", "HEAD")
    status = _git(git, directory, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "dirty": None if status is None else bool(status)}


def _git(git: str, directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - found on PATH
            [git, *arguments], cwd=directory, capture_output=True, text=True, check=False, timeout=_GIT_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or None
