"""Measured values in, the row of a table out: median, spread, and whether the target is met."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

Row = dict[str, Any]


def row(
    part: str,
    measure: str,
    unit: str,
    values: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """One measure: the median of `values` (one a repetition) beside the target, if there is one."""
    value = median(values)
    met = None if at_least is at_most is None else (at_least or value) <= value <= (at_most or value)
    return {
        "part": part,
        "measure": measure,
        "value": _rounded(value),
        "unit": unit,
        "target": "" if met is None else (f">= {at_least:g}" if at_least is not None else f"<= {at_most:g}"),
        "met": "" if met is None else ("yes" if met else "no"),
        "lowest": _rounded(min(values)),
        "highest": _rounded(max(values)),
        "runs": len(values),
    }


def _rounded(value: float) -> float:
    """Three figures behind the point where it matters, fewer for large values."""
    return round(value, 3 if abs(value) < 10 else 1)
