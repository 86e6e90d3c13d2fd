"""How far a pool is: a line for every tenth of its results."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def collect_results(name: str, results: Iterable[T], count: int) -> list[T]:
    """All results; prints a line for every tenth of them."""
    out, start = [], time.monotonic()
    for i, result in enumerate(results, start=1):
        out.append(result)
        if i % max(1, count // 10) == 0:
            print(f"{name}: {i} of {count} clips, {time.monotonic() - start:.0f} s", flush=True)
    return out
