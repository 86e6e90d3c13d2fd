"""What a device that runs out of memory, or is lost, becomes; and what float32 means on a GPU."""

from __future__ import annotations

import pytest
import torch

from stream.errors import ModelError, StreamError
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
