"""The ways to compute that are compared: plain float32, TF32, bfloat16, float16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from stream.weights.devices import allow_tf32


@dataclass(frozen=True)
class Variant:
    """One way to compute."""

    name: str
    dtype: torch.dtype
    tf32: bool = False


FLOAT32 = Variant("float32", torch.float32)
ON_GPU = (
    FLOAT32,
    Variant("TF32", torch.float32, tf32=True),
    Variant("bfloat16", torch.bfloat16),
    Variant("float16", torch.float16),
)
ON_CPU = (FLOAT32, Variant("bfloat16", torch.bfloat16))


def variants(device: torch.device) -> tuple[Variant, ...]:
    """Those that the device can compute in."""
    return ON_CPU if device.type == "cpu" else ON_GPU


@contextmanager
def computing_in(variant: Variant) -> Iterator[None]:
    """Products and convolutions of float32 by TF32 or not, while the `with` lasts."""
    allow_tf32(variant.tf32)
    try:
        yield
    finally:
        allow_tf32(False)
