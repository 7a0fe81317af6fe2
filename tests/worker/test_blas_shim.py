import ctypes
import shutil
import subprocess
import sys

import pytest

from harness.worker.blas_shim import Blas, load_fast_blas

linux = pytest.mark.skipif(sys.platform != "linux", reason="macOS brings a fast BLAS of its own")
compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="the library is compiled here")
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


@pytest.fixture
def before_mlx(monkeypatch):
    """The state of a process that has not imported MLX."""
    monkeypatch.delitem(sys.modules, "mlx.core")
    monkeypatch.delenv("TUNEBENCH_BLAS", raising=False)


@linux
@compiled
def test_the_symbols_a_process_finds_first_are_the_fast_ones(blas):
    """Dladdr (man 3 dladdr) tells which library a symbol was taken from."""
    assert blas.fast
    assert blas.problem is None

    class Info(ctypes.Structure):
        _fields_ = (
            ("file", ctypes.c_char_p),
            ("base", ctypes.c_void_p),
            ("symbol", ctypes.c_char_p),
            ("address", ctypes.c_void_p),
        )

    process = ctypes.CDLL(None)
    for name in ("cblas_sgemm", "cblas_dgemm", "cblas_cgemm"):
        info = Info()
        assert process.dladdr(ctypes.cast(process[name], ctypes.c_void_p), ctypes.byref(info))
        assert b"libtunebench_blas-" in info.file, name


@linux
@compiled
@pytest.mark.parametrize(("name", "number"), [("cblas_sgemm", ctypes.c_float), ("cblas_dgemm", ctypes.c_double)])
@pytest.mark.parametrize(
    ("first", "expected"),
    [(PLAIN, [39, 45, 87, 101]), (TRANSPOSED, [53, 61, 77, 89])],
)
def test_a_product_passes_every_argument_on(name, number, first, expected):
    """2 A B + C with A = 1 2 / 3 4, B = 5 6 / 7 8, C all ones, worked by hand; and with A transposed."""
    four = number * 4
    a, b, c = four(1, 2, 3, 4), four(5, 6, 7, 8), four(1, 1, 1, 1)
    ctypes.CDLL(None)[name](ROW_MAJOR, first, PLAIN, 2, 2, 2, number(2), a, 2, b, 2, number(1), c, 2)
    assert list(c) == expected


@linux
@compiled
def test_a_complex_product_takes_its_factors_by_address():
    """(1 + i) (2 + 3i) i = (-1 + 5i) i = -5 - i."""
    two = ctypes.c_float * 2
    a, b, c, alpha, beta = two(1, 1), two(2, 3), two(9, 9), two(0, 1), two(0, 0)
    ctypes.CDLL(None).cblas_cgemm(ROW_MAJOR, PLAIN, PLAIN, 1, 1, 1, alpha, a, 1, b, 1, beta, c, 1)
    assert list(c) == [-5, -1]


@linux
def test_the_stock_library_can_be_asked_for(before_mlx, monkeypatch):
    monkeypatch.setenv("TUNEBENCH_BLAS", "stock")
    assert load_fast_blas() == Blas(library="stock", fast=False, problem="TUNEBENCH_BLAS=stock was set")


@linux
def test_it_is_too_late_once_mlx_is_imported(monkeypatch):
    monkeypatch.delenv("TUNEBENCH_BLAS", raising=False)
    assert load_fast_blas() == Blas(library="stock", fast=False, problem="MLX was imported before the harness")


def test_macos_is_left_alone(before_mlx, monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", None)  # loading anything would fail
    monkeypatch.setattr(sys, "platform", "darwin")
    assert load_fast_blas() == Blas(library="system", fast=True, problem=None)


@linux
@compiled
def test_the_library_is_compiled_once_into_the_cache(before_mlx, own_cache, monkeypatch):
    first = load_fast_blas()
    assert first.library.startswith("scipy-openblas32 ")
    assert first.fast
    monkeypatch.setattr(subprocess, "run", None)  # compiling again would fail
    assert load_fast_blas() == first
    names = [path.name for path in (own_cache / "blas").iterdir()]
    assert len(names) == 1
    assert names[0].startswith("libtunebench_blas-")
    assert names[0].endswith(".so")


@linux
def test_a_system_library_takes_the_place_of_one_that_cannot_be_compiled(before_mlx, own_cache, monkeypatch):
    tried = []

    def cdll(name, mode):
        tried.append((name, mode))
        if name != "libblis.so.4":
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setenv("CC", "/nowhere/cc")
    monkeypatch.setattr("ctypes.CDLL", cdll)
    found = load_fast_blas()
    assert (found.library, found.fast) == ("libblis.so.4", True)
    assert "/nowhere/cc" in found.problem
    assert tried == [("libopenblas.so.0", ctypes.RTLD_GLOBAL), ("libblis.so.4", ctypes.RTLD_GLOBAL)]
    assert not list(own_cache.rglob("*.so*"))


@linux
def test_without_any_library_the_problem_names_what_to_install(before_mlx, own_cache, monkeypatch):
    def cdll(name, mode):
        raise OSError(name)

    monkeypatch.setenv("CC", "/nowhere/cc")
    monkeypatch.setattr("ctypes.CDLL", cdll)
    found = load_fast_blas()
    assert (found.library, found.fast) == ("stock", False)
    assert found.problem.endswith("install a C compiler (cc) or the package libopenblas0")


@linux
def test_a_compiler_that_fails_is_quoted_and_leaves_nothing(before_mlx, own_cache, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\necho 'no room on device' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    found = load_fast_blas()
    assert f"{compiler} failed: no room on device" in found.problem
    assert not list(own_cache.rglob("*.so*"))


@linux
def test_a_compiler_that_fails_in_silence_is_told_by_its_exit_code(before_mlx, own_cache, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\nexit 7\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert f"{compiler} failed: exit code 7" in load_fast_blas().problem
