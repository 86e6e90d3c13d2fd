"""Arrays that travel: the dtypes there are, and a check of dtype and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

DTYPES = {name: np.dtype(name) for name in ("uint8", "float32", "int32")}


def expect(array: Array, name: str, dtype: str, shape: Sequence[int | None]) -> None:
    """Check an array's dtype and shape (None: any length); ValueError says what came and what is needed."""
    fits = array.dtype is DTYPES[dtype] or array.dtype == DTYPES[dtype]
    if fits and len(array.shape) == len(shape):
        for have, want in zip(array.shape, shape, strict=True):
            if want is not None and want != have:
                break
        else:
            return
    wanted = "(" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
    raise ValueError(f"{name} is {array.dtype} {array.shape}; needs {dtype} {wanted}")
