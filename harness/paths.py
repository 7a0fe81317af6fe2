"""Paths of the data that ships with the package, and of the user's cache."""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_BESIDE = {"published": "results/published"}  # folders whose path in a checkout differs from their name


def bundled(folder: str) -> Path:
    """Return a shipped folder such as "fixtures": beside the package in a checkout, inside the package in a wheel."""
    beside = _HERE.parent / _BESIDE.get(folder, folder)
    return beside if beside.is_dir() else _HERE / "bundled" / folder


def cache_dir() -> Path:
    """Return the user's cache folder: TUNEBENCH_CACHE, or a folder in the operating system's place for caches."""
    if chosen := os.environ.get("TUNEBENCH_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tunebench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunebench"


def without_home(text: str) -> str:
    """Replace the home directory in *text* by ~, so that no user name ends up in a file."""
    home = str(Path.home())
    return text if home == "/" else text.replace(home, "~")
