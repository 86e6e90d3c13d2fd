"""Counters of a node over all of its restarts: each incarnation counts from zero, the sum goes on."""

from __future__ import annotations

from stream.reports import Health


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
        "dropped": health.dropped,
        "transport_ms": health.transport_ms,
        "in_steps_s": health.in_steps_s,
        "active_s": health.active_s,
        **health.progress.counters,
    }
