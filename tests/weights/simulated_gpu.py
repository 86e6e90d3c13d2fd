"""A GPU that is none, for tests: tensors that say they are on `cuda`, and computing on the CPU by PyTorch's rules.

As on a GPU, tensors of two devices can't meet in an operation, NumPy can't read a tensor of the device, and code that
asks where a tensor is takes the way for GPUs. The numbers are real: what is computed is what the CPU computes. What a
host would wait for is counted.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
COPIES = ("aten::_to_copy", "aten::to", "aten::copy_")  # from one device to another
READS = ("aten::_local_scalar_dense", "aten::item")
SIZED_BY_VALUES = ("aten::nonzero", "aten::masked_select", "aten::_unique2")  # the host has to know how many there are
INDEXING = ("aten::index", "aten::index_put_", "aten::_index_put_impl_", "aten::_unsafe_index")  # by indices of the CPU

waits: Counter[str] = Counter()  # of the host for the device since `simulated_gpu` began or somebody cleared it


class OnDevice(Tensor):
    """A tensor that says it is on the GPU; `held` has its values. To C++ it is one of the meta device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        """Of the same shape and type."""
        about = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        with torch.inference_mode(held.is_inference()):  # a view of another tensor is one or is none, as that is
            made: OnDevice = Tensor._make_wrapper_subclass(cls, held.size(), **about, device="meta")  # type: ignore[attr-defined]
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it is said to be."""
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """As it says."""
        return True

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        """As it says."""
        return False

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What C++ would make on the meta device is made on ours."""
        kwargs = kwargs or {}
        if func is Tensor.new_tensor:
            return torch.tensor(args[1], **{"dtype": args[0].dtype, "device": CUDA, **kwargs})
        if func is Tensor.to and isinstance(args[1], OnDevice):
            args = (args[0], CUDA, args[1].dtype, *args[2:])
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _index(args[1]), *args[2:])
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **kwargs)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Also outside of the mode."""
        return _run(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        """Its values."""
        return f"OnDevice({self.held!r})"


def _index(value: Any) -> Any:
    """Lists and arrays as tensors of the CPU; C++ would make them on the meta device."""
    if isinstance(value, tuple):
        return tuple(_index(part) for part in value)
    return torch.tensor(value) if isinstance(value, list | np.ndarray) else value


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation by the CPU; its answer is on the device that PyTorch would leave it on."""
    name = func._schema.name
    given = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [tensor for tensor in given if isinstance(tensor, OnDevice)]
    if there and name not in COPIES:
        indices = pytree.tree_leaves(args[1]) if name in INDEXING else []
        mixed = [t for t in given if not isinstance(t, OnDevice) and t.dim() and not any(t is i for i in indices)]
        if mixed:
            raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")
    if _waits(func, name, args, kwargs, there):
        waits[name] += 1
    if kwargs.get("pin_memory"):  # a CPU's PyTorch has no such memory
        kwargs = {**kwargs, "pin_memory": None}
    if name == "aten::scalar_tensor" and kwargs.get("device") == torch.device("meta"):  # of `tensor[i] = number`
        kwargs = {**kwargs, "device": CUDA}
    out = func(*pytree.tree_map(_here, args), **pytree.tree_map(_here, kwargs))
    if not _ends_there(func, name, args, kwargs, bool(there)):
        return out
    same = {id(tensor.held): tensor for tensor in there}  # what is written to is given back
    return pytree.tree_map_only(Tensor, lambda t: same[id(t)] if id(t) in same else OnDevice(t), out)


def _waits(func: Any, name: str, args: Any, kwargs: dict[str, Any], there: list[OnDevice]) -> bool:
    """Whether the host goes on only when the device has done all that it was given."""
    if name in COPIES:
        from_there = isinstance(args[1 if name == "aten::copy_" else 0], OnDevice)
        to_there = _ends_there(func, name, args, kwargs, bool(there))
        return from_there != to_there and not _argument(func, args, kwargs, "non_blocking")
    masks = [t for t in pytree.tree_leaves(args[1]) if isinstance(t, Tensor)] if name in INDEXING else []
    by_mask = any(isinstance(t, OnDevice) and t.dtype == torch.bool for t in masks)
    return bool(there) and (name in READS or name in SIZED_BY_VALUES or by_mask)


def _argument(func: Any, args: Any, kwargs: dict[str, Any], name: str) -> Any:
    """An argument of an operation; None where it has no such one."""
    for i, argument in enumerate(func._schema.arguments):
        if argument.name == name:
            return kwargs.get(name, args[i] if i < len(args) else argument.default_value)
    return None


def _here(value: Any) -> Any:
    """An argument, for the CPU."""
    if isinstance(value, OnDevice):
        return value.held
    return CPU if value == CUDA or value == torch.device("cuda") else value


def _ends_there(func: Any, name: str, args: Any, kwargs: dict[str, Any], from_there: bool) -> bool:
    if name in READS:
        return False
    if name == "aten::copy_":
        return isinstance(args[0], OnDevice)
    if func is torch.ops.aten.to.other:
        return isinstance(args[1], OnDevice)
    named = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
    return named[0].type == "cuda" if named else from_there


@contextlib.contextmanager
def simulated_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The device, while the `with` lasts."""
    stream = SimpleNamespace(synchronize=lambda: waits.update(["synchronize"]))
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: stream)
    waits.clear()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor() makes it on the CPU, and moves it where we see it
    try:
        with _Mode():
            yield CUDA
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
