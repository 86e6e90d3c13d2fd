"""Counters of a node over all of its restarts: each incarnation counts from zero, the sum goes on."""

from __future__ import annotations

from collections import deque

from stream.reports import Health
from stream.timing import RECENT_S


class LifetimeCounters:
    """The sum over the incarnations that have ended, to which the present one is added."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}
        self.peak_rss_mb = 0.0  # the largest of those that have ended

    def end_incarnation(self, health: Health | None) -> None:
        """An incarnation has ended: add what it counted, as its last heartbeat says."""
        if health is None:
            return
        self.ended = self.totals(health)
        self.peak_rss_mb = max(self.peak_rss_mb, health.peak_rss_mb)

    def totals(self, health: Health | None) -> dict[str, float]:
        """Every counter by name; `health` is that of the present incarnation."""
        present = {} if health is None else _counters(health)
        return {name: self.ended.get(name, 0.0) + present.get(name, 0.0) for name in {**self.ended, **present}}

    def rate_hz(self, health: Health | None) -> float:
        """Messages of the feed handled a second, from the first to the last."""
        totals = self.totals(health)
        return totals["steps"] / totals["active_s"] if totals.get("active_s") else 0.0

    def busy(self, health: Health | None) -> float:
        """Share of that time spent inside steps."""
        totals = self.totals(health)
        return min(1.0, totals["in_steps_s"] / totals["active_s"]) if totals.get("active_s") else 0.0


def _counters(health: Health) -> dict[str, float]:
    """What the runtime counts, and what the stage counts."""
    return {
        "steps": health.steps,
        "malformed": health.malformed,
        "refused_keys": health.refused_keys,
        "refused_connections": health.refused_connections,
        "dropped": health.dropped,
        "transport_ms": health.transport_ms,
        "in_steps_s": health.in_steps_s,
        "active_s": health.active_s,
        **health.progress.counters,
    }


class RecentCounters:
    """What the counters of a node have gained in the last ten seconds, over its restarts."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, dict[str, float]]] = deque()  # when a heartbeat came, and the totals by then

    def add(self, now_s: float, totals: dict[str, float]) -> None:
        """A heartbeat has come."""
        self._totals.append((now_s, totals))
        while len(self._totals) > 2 and now_s - self._totals[1][0] >= RECENT_S:
            self._totals.popleft()

    def gained(self, now_s: float) -> dict[str, float]:
        """Each counter's gain."""
        base = next((totals for at_s, totals in self._totals if now_s - at_s <= RECENT_S + 1), None)
        if base is None:
            return {}
        return {name: value - base.get(name, 0.0) for name, value in self._totals[-1][1].items()}

    def rate_hz(self, name: str, now_s: float) -> float:
        """A counter's gain a second."""
        began_s = next((at_s for at_s, _ in self._totals if now_s - at_s <= RECENT_S + 1), now_s)
        return self.gained(now_s).get(name, 0.0) / (now_s - began_s) if now_s > began_s else 0.0
