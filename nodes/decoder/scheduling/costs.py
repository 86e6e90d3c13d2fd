"""A cost measured again and again: what is believed of it; and the share of the feed's period that a frame may cost."""

from __future__ import annotations

OLD_WEIGHT = 0.8  # of the earlier measurements of a cost, beside a new one
SPARE = 0.8  # of the feed's period: what a frame may cost; the rest goes to sockets and drawing


def mixed(old: float | None, new: float) -> float:
    """A cost with one more measurement in it; `old`: None before the first."""
    return new if old is None else OLD_WEIGHT * old + (1 - OLD_WEIGHT) * new
