"""How often Python waits for a device: calls that read a value back, counted without a GPU too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

READS = (  # `.cpu()` is none: what it gives is read by one of these
    torch.Tensor.item,
    torch.Tensor.tolist,
    torch.Tensor.numpy,
    torch.Tensor.__array__,
    torch.Tensor.__bool__,
    torch.Tensor.__int__,
    torch.Tensor.__float__,
    torch.Tensor.__index__,
    torch.Tensor.nonzero,  # how many there are decides the size of the result
    torch.nonzero,
    torch.argwhere,
    torch.unique,
    torch.masked_select,
    torch.Tensor.masked_select,
)


class WaitCounter(TorchFunctionMode):
    """Counts the calls within its `with` block that wait for the device, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    @property
    def waits(self) -> int:
        """How often the device was waited for."""
        return self.calls.total()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in READS:
            self.calls[function.__name__] += 1
        elif function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and _selects(args[1]):
            self.calls["boolean index"] += 1
        with torch._C.DisableTorchFunction():  # what it calls itself is a part of it
            return function(*args, **(kwargs or {}))


def _selects(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in parts)
