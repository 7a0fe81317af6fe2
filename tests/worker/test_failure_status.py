import pytest

from harness.results.records import Status
from harness.worker.failure_status import lacks_operation, status_of


@pytest.mark.parametrize(
    "text",
    [
        "[QuantizedMatmul::vmap] NYI",
        "[Primitive::vjp] Not implemented for Hadamard.",
        "[scatter] JVP not yet implemented",
        "RoPE has no GPU implementation.",
        "QQMatmul has no CUDA implementation.",
        "no implementation",
    ],
)
def test_an_operation_that_the_backend_lacks_skips_the_case(text):
    assert lacks_operation(RuntimeError(text))
    assert status_of(RuntimeError(text)) is Status.SKIPPED


def test_what_python_calls_not_implemented_is_so_whatever_it_says():
    assert lacks_operation(NotImplementedError())
    assert status_of(NotImplementedError("fp4")) is Status.SKIPPED


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("denying"),  # holds the letters of NYI
        RuntimeError("implementation bug"),
        RuntimeError("[matmul] shapes do not match"),
        ValueError("Model type x is not implemented"),  # a wrong argument, and not the backend
    ],
)
def test_other_errors_are_failures(error):
    assert not lacks_operation(error)
    assert status_of(error) is Status.FAILED


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[malloc] Unable to allocate 9 bytes."),
        RuntimeError("[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum"),
        RuntimeError("CUDA error: out of memory"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_want_of_memory_is_told_apart(error):
    assert status_of(error) is Status.OOM
