"""What the server counts: plain numbers, each added to where the thing happens, read by `/metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)  # of the latency's histogram


@dataclass
class Counts:
    """Of one server, since it began."""

    answered: Counter[tuple[str, int]] = field(default_factory=Counter)  # (route, status)
    malformed_http: int = 0
    malformed_messages: int = 0  # of pages
    closed_pages: int = 0
    refused_logins: int = 0
    refused_connections: int = 0
    connections: int = 0  # that are open


class Latencies:
    """A histogram of ages."""

    def __init__(self) -> None:
        self.sum_s = 0.0
        self._counts = [0] * (len(BOUNDS_S) + 1)

    def add(self, age_s: float) -> None:
        """One frame's age; what two hosts' clocks make of it is cut at 0 and at an hour."""
        age_s = min(max(age_s, 0.0), 3600.0)
        self._counts[bisect_left(BOUNDS_S, age_s)] += 1
        self.sum_s += age_s

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, frames up to there), as Prometheus takes it."""
        total, found = 0, []
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found
