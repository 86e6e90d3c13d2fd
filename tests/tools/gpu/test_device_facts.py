"""What is said of the device beside its figures, and where a step's time goes on one: by a GPU that is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from tools.bench.gpu import profiling
from tools.bench.gpu.device_facts import QUERIED, device_facts

CUDA = torch.device("cuda:0")


@pytest.fixture
def one_gpu(monkeypatch):
    """PyTorch finds one."""
    properties = SimpleNamespace(name="GPU X", total_memory=80 << 30, multi_processor_count=132, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def smi(folder, monkeypatch, script):
    """The only command there is."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_device_driver_libraries_clocks_power_and_memory_are_told(one_gpu, monkeypatch, tmp_path):
    smi(tmp_path, monkeypatch, "echo '550.1, 1980 MHz, 1980 MHz, 2619 MHz, 640.00 W, 700.00 W, 55, 900 MiB, Disabled'")
    facts = device_facts(CUDA)
    assert set(facts) == {
        *("device", "memory_gb", "multiprocessors", "capability", "torch", "cuda", "cudnn"),
        *QUERIED,
    }
    assert (facts["device"], facts["memory_gb"], facts["capability"]) == ("GPU X", 80.0, "9.0")
    assert (facts["driver_version"], facts["power.draw"], facts["memory.used"]) == ("550.1", "640.00 W", "900 MiB")


def test_the_driver_is_asked_for_the_gpu_that_pytorch_sees(one_gpu, monkeypatch, tmp_path):
    smi(tmp_path, monkeypatch, 'echo "$1"')
    assert device_facts(CUDA)["driver_version"] == "--id=0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-abc")
    assert device_facts(CUDA)["driver_version"] == "--id=2"
    assert device_facts(torch.device("cuda:1"))["driver_version"] == "--id=GPU-abc"


@pytest.mark.parametrize("script", ["exit 9", None])
def test_a_driver_that_says_nothing_is_said_so(one_gpu, monkeypatch, tmp_path, script):
    monkeypatch.setenv("PATH", str(tmp_path))
    if script:
        smi(tmp_path, monkeypatch, script)
    facts = device_facts(CUDA)
    assert facts["device"] == "GPU X"
    assert facts["nvidia-smi"].startswith("not measured: ")


class FakeProfiler:
    """A profile of 1000 us a run: an operator with its kernel, a graph of kernels, a copy, a wait."""

    def __init__(self, activities):
        def event(key, device_type, host_us, device_us, is_user_annotation=False):
            return SimpleNamespace(
                key=key,
                device_type=device_type,
                self_cpu_time_total=host_us,
                self_device_time_total=device_us,
                is_user_annotation=is_user_annotation,
            )

        self.averages = [
            event("aten::mm", DeviceType.CPU, 50, 300),
            event("cudaLaunchKernel", DeviceType.CPU, 100, 0),
            event("cudaGraphLaunch", DeviceType.CPU, 100, 0),
            event("cudaDeviceSynchronize", DeviceType.CPU, 200, 0),
            event("gemm", DeviceType.CUDA, 0, 300),
            event("in the graph", DeviceType.CUDA, 0, 400),
            event("Memcpy HtoD", DeviceType.CUDA, 0, 100),
            event("a step", DeviceType.CUDA, 0, 900, is_user_annotation=True),
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def key_averages(self):
        averages = self.averages

        class Averages(list):
            def table(self, sort_by, row_limit):
                return f"{len(averages)} by {sort_by}"

        return Averages(averages)


def test_kernels_count_once_beside_copies_launches_waits_and_the_rest(one_gpu, monkeypatch):
    monkeypatch.setattr(profiling, "torch_profile", FakeProfiler)
    now = iter([0.0, 1e-3])
    monkeypatch.setattr(profiling, "perf_counter", lambda: next(now))
    shares, text = profiling.profile(lambda: None, CUDA)
    expected = {"kernels": 70, "copies": 10, "launches": 20, "waits": 20, "Python and dispatch": 60}
    assert shares == pytest.approx(expected)
    assert text == "8 by self_device_time_total"
