"""What is wrong with a feed, and since when: heartbeats in, `state`, `reason` and `since` of the status out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stream.supervision.lifecycle import SupervisedNode

STALE_S = 3.0  # a live feed without a new picture for longer is interrupted
LATE_PERIODS = 2.0  # unless its pictures come no more often than that
STALLED_S = 3.0  # a node is at one step for longer than that, and than it usually is
USUAL_STEPS = 3.0  # times the mean step: a model that is always slow does not stall
REPEATED_S = 3.0  # pictures that are identical, or black, for so long are no accident


@dataclass(frozen=True)
class Signs:
    """What a feed is judged by."""

    live: bool = True
    opened: bool = True  # the source has been open
    paused: bool = False
    phase: str = "running"  # of capture
    frame_age_s: float = 0.0  # of the newest picture
    period_s: float = 0.0  # between pictures, lately; 0: not known
    frozen_s: float = 0.0
    black_s: float = 0.0
    retry_in_s: float | None = None  # until the next attempt to connect; None while there is none to wait for
    recording_paused: bool = False  # there is no room for it
    journal_failed: bool = False  # it could not be written
    damage: float = 0.0  # damaged packets and corrupt pictures lately
    failed: float = 0.0  # frames that a model had no answer for lately
    restarting: Sequence[str] = ()  # nodes that have died and are not back
    stalled: Sequence[str] = ()  # nodes that are at one step for too long


def assess(signs: Signs) -> tuple[str, str]:
    """(state, reason) as docs/protocol.md lists them; the worst comes first."""
    if signs.phase in ("ended", "stopped"):
        return "ended", ""
    if signs.restarting:
        return "degraded", "restarting " + " ".join(signs.restarting)
    if not signs.opened:
        return "starting", "waiting_for_source" if signs.phase in ("backing off", "waiting") else ""
    if signs.paused:
        return "paused", ""
    if signs.phase in ("connecting", "waiting", "backing off"):
        return "interrupted", "source_lost"
    if signs.live and signs.frame_age_s > max(STALE_S, LATE_PERIODS * signs.period_s):
        return "interrupted", "undecodable" if signs.damage else "no_frames"
    if signs.stalled:
        return "degraded", "stalled " + " ".join(signs.stalled)
    if signs.live and signs.failed:
        return "degraded", "model_failed"
    if signs.live and signs.black_s > REPEATED_S:
        return "degraded", "black"
    if signs.live and signs.frozen_s > REPEATED_S:
        return "degraded", "frozen"
    if signs.damage:
        return "degraded", "damaged"
    if signs.recording_paused:
        return "degraded", "recording_paused"
    return ("degraded", "journal_failed") if signs.journal_failed else ("running", "")


class Condition:
    """The state of one feed now, and since when it has been in it."""

    def __init__(self, now_s: float) -> None:
        self.state, self.reason = "starting", ""
        self.since_s = now_s

    def judge(self, signs: Signs, now_s: float) -> None:
        """Judge the feed anew; the time counts from where the answer changes."""
        judged = assess(signs)
        if judged != (self.state, self.reason):
            (self.state, self.reason), self.since_s = judged, now_s


def read_signs(nodes: Mapping[str, SupervisedNode], now_s: float, *, live: bool, opened: bool, paused: bool) -> Signs:
    """What heartbeats say of the feed."""
    capture = nodes["capture"]
    gauges = capture.health.progress.gauges if capture.health else {}
    recent = capture.recent.gained(now_s)
    retry_in_s = gauges.get("retry_in_s")
    return Signs(
        live=live,
        opened=opened and capture.newest_frame_s is not None,
        paused=paused,
        phase=capture.health.progress.phase if capture.health else "connecting",
        frame_age_s=0.0 if capture.newest_frame_s is None else max(0.0, now_s - capture.newest_frame_s),
        period_s=1 / gauges["fps"] if gauges.get("fps") else 0.0,
        frozen_s=gauges.get("frozen_s", 0.0),
        black_s=gauges.get("black_s", 0.0),
        retry_in_s=None if retry_in_s is None else max(0.0, retry_in_s - max(0.0, now_s - capture.heard_s)),
        recording_paused=any(n.health and n.health.progress.gauges.get("recording_paused") for n in nodes.values()),
        damage=recent.get("damaged_packets", 0) + recent.get("corrupt_pictures", 0),
        failed=sum(node.recent.gained(now_s).get("failed", 0) for node in nodes.values()),
        stalled=[name for name, node in nodes.items() if _is_stalled(node, now_s)],
        restarting=[name for name, node in nodes.items() if node.loads and not node.loaded],
    )


def _is_stalled(node: SupervisedNode, now_s: float) -> bool:
    """Whether a node is at a step that takes longer than its steps do."""
    health = node.health
    if health is None or not health.in_step_s:
        return False
    usual_s = health.in_steps_s / health.steps if health.steps else 0.0
    return health.in_step_s + max(0.0, now_s - node.heard_s) > max(STALLED_S, USUAL_STEPS * usual_s)
