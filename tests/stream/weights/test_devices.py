"""What a device that runs out of memory, or is lost, becomes; and what float32 means on a GPU."""

from __future__ import annotations

import pytest
import torch

from nodes import start
from stream.errors import ModelError, StreamError
from stream.settings.presets import load
from stream.topology import wiring
from stream.weights.devices import allow_tf32, choose_precision, reporting_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nIf reserved memory ..."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] data. DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
    ids=["GPU", "CPU"],
)
def test_running_out_of_memory_passes_a_frame_over(error):
    with (
        pytest.raises(ModelError, match=r"^out of memory encoding a frame[^\n]*$"),
        reporting_memory("encoding a frame"),
    ):
        raise error


def test_a_lost_device_ends_the_node_so_that_it_is_restarted():
    lost = RuntimeError("CUDA error: unknown error")
    with pytest.raises(RuntimeError) as caught, reporting_memory("encoding a frame"):
        raise lost
    assert caught.value is lost  # a StreamError would end the run: nothing but a new process gets the device back
    assert not isinstance(caught.value, StreamError)


def test_a_node_whose_device_is_lost_ends_with_the_code_that_has_it_restarted(monkeypatch, caplog):
    def lose(*_):
        raise RuntimeError("CUDA error: unknown error")

    monkeypatch.setattr(start, "run_node", lose)
    config = load("lite")
    node = start.PlannedNode("decoder", config, wiring(config), "inproc://test")
    assert node.run(None, None) == 1  # not 2 or 3, which no restart helps against
    assert "died of RuntimeError: CUDA error: unknown error" in caplog.text


def test_float32_on_a_gpu_is_float32():
    allow_tf32(True)
    try:
        choose_precision("decoder.precision", "float32", torch.device("cuda"))
        if hasattr(torch.backends, "fp32_precision"):
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        else:
            assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cuda.matmul.allow_tf32
    finally:
        allow_tf32(False)
