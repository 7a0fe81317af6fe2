"""Shim that replaces the slow BLAS of MLX's Linux wheel with OpenBLAS.

The wheel `mlx-cpu` links the reference BLAS, some fifty times slower than OpenBLAS. Symbols of a
library loaded with RTLD_GLOBAL take precedence, so loading a fast BLAS *before* `mlx.core` is enough.
`scipy-openblas32` provides one, but its names carry the prefix `scipy_`: a few lines of C, compiled
once into the user's cache, forward the three functions that MLX calls.

Worker processes call `load_fast_blas` before anything else. It never fails: it reports the BLAS it got.
Source of the calling convention: https://www.netlib.org/blas/#_cblas
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.errors import first_line
from harness.paths import cache_dir

_SHIM = """
#define ARGS(T, S) int order, int ta, int tb, int m, int n, int k, S alpha, const T *a, int lda, \\
    const T *b, int ldb, S beta, T *c, int ldc
#define PASS order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc
#define FORWARD(NAME, T, S) \\
    extern void scipy_##NAME(ARGS(T, S)); \\
    void NAME(ARGS(T, S)) { scipy_##NAME(PASS); }
FORWARD(cblas_sgemm, float, float)
FORWARD(cblas_dgemm, double, double)
FORWARD(cblas_cgemm, void, const void *)
"""
_SYSTEM_LIBRARIES = ("libopenblas.so.0", "libblis.so.4", "libmkl_rt.so.2")
_COMPILE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blas:
    """BLAS that a process uses for MLX on the CPU."""

    library: str  # name of the loaded library: "scipy-openblas32 0.3.34", "libopenblas.so.0", "stock", "system"
    fast: bool
    problem: str | None  # why the first choice was not available, and the remedy


def load_fast_blas() -> Blas:
    """Load the fastest available BLAS into this process. Call this before `mlx.core` is imported."""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        return Blas(library="system", fast=True, problem=None)  # Accelerate on macOS: leave it alone
    if os.environ.get("TUNEBENCH_BLAS") == "stock":
        return Blas(library="stock", fast=False, problem="TUNEBENCH_BLAS=stock was set")
    if "mlx.core" in sys.modules:
        return Blas(library="stock", fast=False, problem="MLX was imported before the harness")
    try:
        shim, name = _shim()
        ctypes.CDLL(str(shim), mode=ctypes.RTLD_GLOBAL)
    except (ImportError, OSError, subprocess.SubprocessError) as error:
        problem = f"no fast BLAS could be built ({first_line(error)})"
    else:
        return Blas(library=name, fast=True, problem=None)
    for library in _SYSTEM_LIBRARIES:
        try:
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return Blas(library=library, fast=True, problem=f"{problem}; using the system's {library}")
    remedy = "install a C compiler (cc) or the package libopenblas0"
    return Blas(library="stock", fast=False, problem=f"{problem}; matrix products are ~50 times slower: {remedy}")


def _shim() -> tuple[Path, str]:
    """Return the forwarding library, compiled on first use, and the name of the BLAS behind it."""
    import scipy_openblas32 as openblas  # noqa: PLC0415 - exists on Linux only

    folder = Path(openblas.get_lib_dir())
    library = folder / f"lib{openblas.get_library()}.so"
    name = f"scipy-openblas32 {openblas.__version__}"
    identity = hashlib.sha256(f"{_SHIM}{library}{library.stat().st_size}".encode()).hexdigest()[:16]
    shim = cache_dir() / "blas" / f"libtunebench_blas-{identity}.so"
    if not shim.exists():
        _compile(shim, library)
    return shim, name


def _compile(shim: Path, library: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("no C compiler found")
    shim.parent.mkdir(parents=True, exist_ok=True)
    partial = shim.with_name(f"{shim.name}.{os.getpid()}.partial")
    command = [*compiler.split(), "-shared", "-fPIC", "-O2", "-x", "c", "-", "-o", str(partial)]
    command += ["-x", "none", str(library), f"-Wl,-rpath,{library.parent}"]
    done = subprocess.run(  # noqa: S603 - the user's own compiler
        command, input=_SHIM, text=True, capture_output=True, check=False, timeout=_COMPILE_TIMEOUT_S
    )
    if done.returncode:
        raise OSError(f"{compiler} failed: {first_line(done.stderr or f'exit code {done.returncode}')}")
    partial.replace(shim)
