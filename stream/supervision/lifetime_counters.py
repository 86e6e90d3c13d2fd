"""Counts of a node over all of its lives: each life counts from zero, the sum goes on."""

from __future__ import annotations

from stream.reports import Health

SUMMED = (
    "steps",
    "malformed",
    "dropped",
    "transport_ms",
    "captured",
    "reconnects",
    "published",
    "passed_over",
    "decoded",
    "propagated",
    "failed",
    "spent_s",
    "alive_s",
)


class LifetimeCounters:
    """The sum over lives that have ended, beside the life that goes on."""

    def __init__(self) -> None:
        self.past: dict[str, float] = {}
        self.peak_rss_mb = 0.0
        self.newest = -1  # the newest frame_id heard of
        self.newest_at_s = 0.0

    def seen_frame(self, frame_id: int, now_s: float) -> None:
        """Note how far the node has got."""
        if frame_id > self.newest:
            self.newest, self.newest_at_s = frame_id, now_s

    def newest_frame(self, now_s: float) -> tuple[int, float]:
        """(frame_id, seconds since it was heard of)."""
        return self.newest, max(0.0, now_s - self.newest_at_s)

    def close(self, health: Health | None) -> None:
        """A life has ended: add what it counted last."""
        if health is None:
            return
        now = self.numbers(health)
        self.past = {key: now[key] for key in SUMMED if key in now}
        self.peak_rss_mb = max(self.peak_rss_mb, health.peak_rss_mb)

    def numbers(self, health: Health | None) -> dict[str, float]:
        """Every number by name, counts summed over lives."""
        now: dict[str, float] = {}
        if health is not None:
            now = {
                "steps": health.steps,
                "malformed": health.malformed,
                "dropped": health.dropped,
                "transport_ms": health.transport_ms,
                **health.numbers,
            }
        return {**now, **{key: now.get(key, 0.0) + self.past.get(key, 0.0) for key in SUMMED}}

    def rate_hz(self, health: Health | None) -> float:
        """Messages handled a second while there was something to handle, over the node's life."""
        numbers = self.numbers(health)
        return numbers["steps"] / numbers["alive_s"] if numbers["alive_s"] else 0.0

    def busy(self, health: Health | None) -> float:
        """Share of that time spent inside steps."""
        numbers = self.numbers(health)
        return min(1.0, numbers["spent_s"] / numbers["alive_s"]) if numbers["alive_s"] else 0.0
