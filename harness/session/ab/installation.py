"""Installation of the running tunebench, described so that pip can repeat it in another environment.

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
    """Arguments for pip install, and the *state* of the code they refer to, which may change under equal arguments."""

    words: tuple[str, ...]
    state: str


def current_installation() -> Installation:
    """Return the installation of the running package.

    A checkout is installed as editable, however it was installed here, so that both environments measure with the
    same code. If MLX for NVIDIA is installed here, the extra that installs it is requested too; otherwise another
    device would be measured.

    Raises:
        BadArm: if the package came from a directory that now holds other code.
    """
    name = f"tunebench{_extra()}"
    root = _PACKAGE.parent
    if (root / "pyproject.toml").is_file():
        return Installation(words=("--editable", f"{root}{_extra()}"), state=_sha256(root / "pyproject.toml"))
    distribution = importlib.metadata.distribution("tunebench")
    direct_url = distribution.read_text("direct_url.json")
    if direct_url is None:
        return Installation(words=(f"{name}=={distribution.version}",), state="")
    origin: dict[str, Any] = codec.decode(direct_url.encode(), dict[str, Any])
    return Installation(words=(f"{name} @ {_reference(origin)}",), state=_state(origin))


def _extra() -> str:
    installed = environment.packages()
    return "[cuda]" if any(installed[name] is not None for name in _CUDA) else ""


def _reference(origin: dict[str, Any]) -> str:
    """Return a URL of the same code; for a repository it names the commit, not the branch."""
    part = f"#subdirectory={origin['subdirectory']}" if "subdirectory" in origin else ""
    if "vcs_info" in origin:
        repository = origin["vcs_info"]
        return f"{repository['vcs']}+{origin['url']}@{repository['commit_id']}{part}"
    return f"{origin['url']}{part}"


def _state(origin: dict[str, Any]) -> str:
    """Return a hash of the code if it was installed from a directory, whose contents may change; else nothing.

    Raises:
        BadArm: if the directory now holds other code.
    """
    if "dir_info" not in origin:
        return ""
    directory = Path(unquote(urlsplit(origin["url"]).path))
    if (code := _code_sha256(_PACKAGE)) != _code_sha256(directory / _PACKAGE.name):
        raise BadArm(
            f"pip: tunebench was installed from {directory}, which holds other code by now; both environments are to "
            f"measure with the code that runs here: install it again (python -m pip install {directory})"
        )
    return code


def _code_sha256(package: Path) -> str:
    """Return a SHA-256 over the modules of *package*, without the data that a wheel bundles."""
    files = sorted(path.relative_to(package) for path in package.rglob("*.py"))
    names = [path for path in files if path.parts[0] != "bundled"]
    listing = "".join(f"{path.as_posix()} {_sha256(package / path)}\n" for path in names)
    return hashlib.sha256(listing.encode()).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
