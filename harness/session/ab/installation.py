"""How this very tunebench is installed, so that another environment can be given the same one.

Source: PEP 610 for direct_url.json, which pip leaves beside a package that did not come from an index.
"""

import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from harness.errors import BadArm
from harness.machine import environment
from harness.results import codec

_PACKAGE = Path(__file__).parents[2]
_CUDA = ("mlx-cuda", "mlx-cuda-12", "mlx-cuda-13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What pip is told to install, and the *state* of what it comes from, which that does not say."""

    words: tuple[str, ...]
    state: str


def ours() -> Installation:
    """The installation of the package that is running.

    A checkout is installed editable, however it was found: what is measured there is then what runs here. With MLX
    for NVIDIA goes the extra that brings it, or another device would be measured.

    Raises:
        BadArm: if it came from a directory that holds other code by now.
    """
    name = f"tunebench{_extra()}"
    root = _PACKAGE.parent
    if (root / "pyproject.toml").is_file():
        return Installation(words=("--editable", f"{root}{_extra()}"), state=_sha256(root / "pyproject.toml"))
    its = importlib.metadata.distribution("tunebench")
    written = its.read_text("direct_url.json")
    if written is None:
        return Installation(words=(f"{name}=={its.version}",), state="")
    origin: dict[str, Any] = codec.decode(written.encode(), dict[str, Any])
    return Installation(words=(f"{name} @ {_reference(origin)}",), state=_state(origin))


def _extra() -> str:
    installed = environment.packages()
    return "[cuda]" if any(installed[name] is not None for name in _CUDA) else ""


def _reference(origin: dict[str, Any]) -> str:
    """The URL that names the same code once more: of a repository the commit, not the branch."""
    part = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
    if "vcs_info" in origin:
        its = origin["vcs_info"]
        return f"{its['vcs']}+{origin['url']}@{its['commit_id']}{part}"
    return f"{origin['url']}{part}"


def _state(origin: dict[str, Any]) -> str:
    """The code, where it came from a directory, which may hold another by now."""
    if "dir_info" not in origin:
        return ""
    directory = Path(unquote(urlsplit(origin["url"]).path))
    if (code := _code(_PACKAGE)) != _code(directory / _PACKAGE.name):
        raise BadArm(
            f"pip: tunebench was installed from {directory}, which holds other code by now; both environments are to "
            f"measure with the code that runs here: install it again (python -m pip install {directory})"
        )
    return code


def _code(package: Path) -> str:
    """SHA-256 over the modules of *package*, without the data that a wheel brings in it."""
    files = sorted(path.relative_to(package) for path in package.rglob("*.py"))
    names = [path for path in files if path.parts[0] != "bundled"]
    listing = "".join(f"{path.as_posix()} {_sha256(package / path)}\n" for path in names)
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
