"""Where things lie: the data that ships with the package, and the user's cache."""

import os
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_BESIDE = {"published": "results/published"}  # what lies elsewhere in a checkout than its name says


def bundled(folder: str) -> Path:
    """Find a shipped folder ("fixtures", "published"): beside the package in a checkout, inside it in a wheel."""
    beside = _HERE.parent / _BESIDE.get(folder, folder)
    return beside if beside.is_dir() else _HERE / "bundled" / folder


def cache_dir() -> Path:
    """Name the user's cache: TUNEBENCH_CACHE, else the place the system keeps caches in."""
    if chosen := os.environ.get("TUNEBENCH_CACHE"):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tunebench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunebench"


def without_home(text: str) -> str:
    """Write *text* with the home directory as ~, so that no user name ends up in a file."""
    home = str(Path.home())
    return text if home == "/" else text.replace(home, "~")
