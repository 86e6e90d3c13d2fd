"""What a device does at most, and shares of it: on the CPU, where the numbers are small."""

from __future__ import annotations

import pytest
import torch

from stream.errors import StreamError
from stream.weights.devices import allow_tf32
from tools.bench.gpu import peak
from tools.bench.gpu.peak import copy_rate, device_copy_rate, flops_of, launch_us, matrix_peak, share_of_peak

CPU = torch.device("cpu")


def test_a_peak_is_measured_once_for_each_way_to_compute(monkeypatch):
    took = iter([1e-3, 4e-3])
    monkeypatch.setattr(peak, "_fastest_s", lambda run, device: next(took))
    matrix_peak.cache_clear()
    assert matrix_peak(CPU, torch.float32, side=100) == pytest.approx(2e6 / 1e-3 / 1e12)
    assert matrix_peak(CPU, torch.float32, side=100) == pytest.approx(2e6 / 1e-3 / 1e12)
    assert matrix_peak(CPU, torch.bfloat16, side=100) == pytest.approx(2e6 / 4e-3 / 1e12)
    matrix_peak.cache_clear()


def test_a_peak_leaves_float32_as_exact_as_it_was(monkeypatch):
    allowed = []
    monkeypatch.setattr(peak, "allow_tf32", lambda value: allowed.append(value) or allow_tf32(value))
    matrix_peak.cache_clear()
    matrix_peak(CPU, torch.float32, tf32=True, side=16)
    matrix_peak.cache_clear()
    assert allowed == [True, False]


def test_copies_and_launches_take_time():
    assert copy_rate(CPU, CPU, size=1 << 16) > 0
    assert device_copy_rate(CPU, size=1 << 16) > 0
    assert launch_us(CPU, launches=10) > 0


def test_operations_of_products_and_attention_are_counted():
    a, b = torch.ones(8, 16), torch.ones(16, 32)
    q = torch.ones(1, 2, 5, 8)
    assert flops_of(lambda: a @ b) == 2 * 8 * 16 * 32
    attention = torch.nn.functional.scaled_dot_product_attention
    with torch.inference_mode():
        assert flops_of(lambda: attention(q, q, q)) == 2 * 2 * 5 * 5 * (8 + 8)


def test_code_that_hides_its_operations_has_no_share():
    with pytest.raises(StreamError, match="before it is captured"):
        flops_of(lambda: None)


def test_a_share_of_the_peak_is_operations_in_time():
    assert share_of_peak(flops=5 * 10**11, took_s=0.5, peak_tflops=10) == pytest.approx(10)
