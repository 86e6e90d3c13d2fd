"""A decoder among several that share one mask model: what its frames are worth, and what became of its requests."""

from __future__ import annotations

from contextlib import AbstractContextManager

from nodes.decoder.segmentation import Job
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.requests import Urgency


class ModelSharing:
    """Says what the frames of one live feed are worth."""

    def __init__(self, client: CameraClient, budget_s: float) -> None:
        self._client = client
        self._budget_s = budget_s  # capture to masks: a frame that can't have them by then is carried

    def frame(self, job: Job) -> AbstractContextManager[None]:
        """What the model is asked for inside is of this job."""
        urgency = Urgency.PROMPT if job.prompts else Urgency.BOUNDARY if job.boundary else Urgency.FRAME
        return self._client.frame(urgency, job.frame.stamp.captured_ns, self._budget_s)

    def withdraw(self) -> bool:
        """Give up the frame that is asked for, where it waits and may be given up."""
        return self._client.withdraw()


def sharing_counters(client: CameraClient) -> dict[str, float]:
    """What became of a camera's requests, by kind; they only grow."""
    counts, _ = client.model.camera_figures(client.camera)
    return {
        "shared_frames": counts.frames,
        "shared_served": counts.served,
        "shared_late": counts.late,
        "shared_replaced": counts.replaced,
        "shared_misses": counts.misses,
        "shared_used_ms": 1e3 * counts.used_s,
    }


def sharing_gauges(client: CameraClient) -> dict[str, float]:
    """How the camera and all of its device are served now."""
    device = client.model.figures()
    _, ratio = client.model.camera_figures(client.camera)
    return {
        "shared_ratio": ratio,
        "shared_batches": device.batches,
        "shared_busy_ms": 1e3 * device.busy_s,
        "shared_occupancy": device.batch_occupancy,
        "shared_jain_index": device.jain_index,
        "shared_queue_p50_ms": device.queue_p50_ms,
        "shared_queue_p99_ms": device.queue_p99_ms,
    }
