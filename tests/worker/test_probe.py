import gc
import json
import math

import mlx.core as mx
import numpy as np
import pytest

from harness.machine.clock import Stopwatch
from harness.worker import probe


class ScriptedStopwatch:
    """Tells the times of a script, and does the work only where the test wants it done."""

    def __init__(self, times_s):
        self.times_s = iter(times_s)
        self.works = []

    def time_s(self, work):
        self.works.append(work)
        return next(self.times_s)


@pytest.fixture
def small(monkeypatch):
    """Sizes at which nothing takes time, on a CPU whatever the device."""
    monkeypatch.setattr(probe, "_SIZES", {"cpu": 64, "gpu": 128})
    monkeypatch.setattr(probe, "_SLOW_SIZE", 32)
    monkeypatch.setattr(probe, "_BLOCK_BYTES", {"cpu": 1 << 20, "gpu": 1 << 20})
    monkeypatch.setattr(probe, "_device_type", lambda: "cpu")


def test_a_rate_is_of_the_best_time_of_three(monkeypatch, small):
    """A product of 2048 x 2048 has 2 * 2048^3 = 17179869184 operations; 1 MiB is 1048576 bytes, twice with writing."""
    monkeypatch.setattr(probe, "_SIZES", {"cpu": 2048})
    stopwatch = ScriptedStopwatch([3, 2, 4, 9, 8, 7, 5, 0.5, 6, 4, 6, 5])
    assert probe.roofline(stopwatch) == {
        "gemm_flops_per_s": 17179869184 / 2,
        "numpy_gemm_flops_per_s": 17179869184 / 4,
        "copy_bytes_per_s": 2097152 / 0.5,
        "method": "float32 product 2048x2048; copy, read and written, over 1048576 bytes; best of 3",
    }
    assert len(stopwatch.works) == 12


@pytest.mark.parametrize(
    ("copy_s", "rate", "how"), [(1.9, 2097152 / 1.9, "copy, read"), (2.1, 1048576, "matrix-vector")]
)
def test_the_rate_of_memory_is_the_higher_of_copying_and_of_reading_alone(small, copy_s, rate, how):
    """Reading 1 MiB takes 1 s: a copy, which moves twice as much, is ahead below 2 s."""
    roof = probe.roof(ScriptedStopwatch([1] * 6 + [copy_s] * 3), "float32")
    assert roof.copy_bytes_per_s == rate
    assert f"; {how}" in roof.method


@pytest.mark.parametrize(
    ("device", "dtype", "size"),
    [("cpu", "float32", 64), ("cpu", "float16", 32), ("cpu", "bfloat16", 32), ("gpu", "bfloat16", 128)],
)
def test_the_product_is_in_the_compute_type_and_of_a_size_the_device_can_do(monkeypatch, small, device, dtype, size):
    monkeypatch.setattr(probe, "_device_type", lambda: device)
    stopwatch = ScriptedStopwatch([1.0] * 9)
    roof = probe.roof(stopwatch, dtype)
    assert roof.gemm_flops_per_s == 2 * size**3
    assert roof.method.startswith(f"{dtype} product {size}x{size};")
    evaluated = []
    monkeypatch.setattr(mx, "eval", evaluated.append)
    stopwatch.works[0]()
    assert (str(evaluated[0].dtype), evaluated[0].shape) == (f"mlx.core.{dtype}", (size, size))


def test_a_roof_multiplies_nothing_in_numpy_and_a_gpu_s_copies_nothing_in_it(monkeypatch, small):
    evaluated = []
    for device, on_device in (("cpu", 6), ("gpu", 9)):
        monkeypatch.setattr(probe, "_device_type", lambda device=device: device)
        stopwatch = ScriptedStopwatch([1.0] * 9)
        probe.roof(stopwatch, "float32")
        with monkeypatch.context() as patch:
            patch.setattr(mx, "eval", evaluated.append)
            evaluated.clear()
            for work in stopwatch.works:
                work()
        assert len(evaluated) == on_device


def test_rates_of_this_machine_are_positive_numbers(small):
    """With small sizes: it is not about how fast."""
    facts = probe.roofline(Stopwatch(wait=mx.synchronize))
    for name in ("gemm_flops_per_s", "numpy_gemm_flops_per_s", "copy_bytes_per_s"):
        assert math.isfinite(facts[name])
        assert facts[name] > 0


def test_what_is_timed_is_computed_and_not_only_queued(small):
    """An array that is only queued takes no memory: the results of 64 x 64 and of 4096 x 1 numbers do."""
    stopwatch = ScriptedStopwatch([1.0] * 12)
    probe.roofline(stopwatch)
    for work, result_bytes in ((stopwatch.works[0], 64 * 64 * 4), (stopwatch.works[3], 4096 * 4)):
        gc.collect()  # nothing of other tests is freed in between
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        work()
        assert mx.get_peak_memory() - before >= result_bytes
    assert stopwatch.works[9]().shape == (64, 64)  # NumPy queues nothing


@pytest.mark.parametrize("measure", [lambda: probe.roof(Stopwatch(wait=mx.synchronize), "float32"), probe.self_check])
def test_nothing_of_a_probe_stays_in_the_device_s_memory(small, measure):
    gc.collect()
    before = mx.get_active_memory()
    measure()
    gc.collect()
    assert (mx.get_active_memory(), mx.get_cache_memory()) == (before, 0)


def test_the_products_of_this_device_are_right():
    check = probe.self_check()
    assert (check["ok"], check["problem"]) == (True, None)
    assert [(item["type"], item["bits"]) for item in check["products"]][:3] == [
        ("float32", None),
        ("float32", 8),
        ("float32", 4),
    ]
    for element in check["products"]:
        assert list(element["relative_errors"]) == ["1", "8", "64"]
        assert 0 < max(element["relative_errors"].values()) < element["tolerance"]
    json.dumps(check, allow_nan=False)


def test_a_gpu_is_checked_in_its_half_types_too_and_its_rounding_of_inputs_is_let_be(monkeypatch):
    monkeypatch.setattr(probe, "_device_type", lambda: "gpu")
    products = probe.self_check()["products"]
    assert {product["type"]: product["tolerance"] for product in products} == {
        "float32": 5e-3,
        "float16": 2e-2,
        "bfloat16": 0.1,
    }
    assert len(products) == 9
    for item in products[3:]:
        assert 1e-5 < max(item["relative_errors"].values()) < item["tolerance"]


def wrong_from(rows, product):
    """As the fault was that this check is for: right for few rows, and wrong by half from *rows* on."""
    return lambda x, *others, **options: product(x, *others, **options) * (1.5 if x.shape[0] >= rows else 1.0)


@pytest.mark.parametrize(
    ("rows", "bits", "where"),
    [(8, 8, "with 8-bit weights at M=8"), (64, 4, "with 4-bit weights at M=64"), (1, 8, "with 8-bit weights at M=1")],
)
def test_a_wrong_product_is_told_with_its_type_its_rows_and_its_error(monkeypatch, rows, bits, where):
    right, wrong = mx.quantized_matmul, wrong_from(rows, mx.quantized_matmul)

    def product(*arguments, **options):
        return (wrong if options["bits"] == bits else right)(*arguments, **options)

    monkeypatch.setattr(mx, "quantized_matmul", product)
    check = probe.self_check()
    assert check["ok"] is False
    assert check["problem"] == (
        f"the device's products are wrong: relative error 0.5 in float32 {where} (wanted below 0.0001); "
        "numbers measured on it mean nothing"
    )


def test_a_wrong_plain_product_is_told_too(monkeypatch):
    """The device takes other numbers than it tells NumPy."""
    monkeypatch.setattr(probe, "_float64", lambda array: np.array(array.astype(mx.float32)).astype(np.float64) + 0.01)
    assert "in float32 at M=1 (wanted" in probe.self_check()["problem"]


def test_a_product_that_is_no_number_is_wrong_and_never_stored_as_one(monkeypatch):
    product = mx.quantized_matmul
    monkeypatch.setattr(mx, "quantized_matmul", lambda *a, **o: product(*a, **o) * math.nan)
    check = probe.self_check()
    assert "relative error not a number in float32 with 8-bit weights at M=1" in check["problem"]
    json.dumps(check, allow_nan=False)


def test_an_operation_the_device_lacks_is_told_and_no_problem(monkeypatch):
    def lacking(*arguments, **options):
        raise RuntimeError("QuantizedMatmul has no CUDA implementation.")

    monkeypatch.setattr(mx, "quantized_matmul", lacking)
    check = probe.self_check()
    assert check["ok"]
    assert [item["lacking"] for item in check["products"]] == [
        None,
        "QuantizedMatmul has no CUDA implementation.",
        "QuantizedMatmul has no CUDA implementation.",
    ]


def test_another_error_of_the_device_is_not_hidden(monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("the device is lost")

    monkeypatch.setattr(mx, "quantized_matmul", broken)
    with pytest.raises(RuntimeError, match="the device is lost"):
        probe.self_check()


@pytest.mark.parametrize(
    ("facts", "size"),
    [({"memory_size": 5}, 5), ({"total_memory": 7, "free_memory": 1}, 7), ({"device_name": "x"}, None)],
)
def test_a_device_s_memory_is_what_it_tells(monkeypatch, facts, size):
    monkeypatch.setattr(mx, "device_info", lambda device: facts, raising=False)
    assert probe.device_memory_bytes() == size


def test_the_device_is_the_one_mlx_computes_on():
    facts = probe.device()
    assert facts["type"] == ("cpu" if mx.default_device() == mx.cpu else "gpu")
    assert None not in facts.values()


@pytest.mark.parametrize("known", [{"device_name": "Some GPU", "memory_size": None}, {}])
def test_a_device_says_of_itself_what_it_knows(monkeypatch, known):
    monkeypatch.setattr(mx, "device_info", lambda device: known, raising=False)
    assert probe.device().keys() - {"type"} == {name for name, value in known.items() if value is not None}
