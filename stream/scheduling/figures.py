"""What a scheduler did, counted: by camera and in all, since its start and lately; memory by the number of cameras."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from stream.scheduling.fair_shares import jain_index
from stream.scheduling.requests import Batch, Declined, Request
from stream.timing import Latency

WINDOW_S = 10.0  # ratios are of the last one to two windows


@dataclass(slots=True)
class CameraCounts:
    """The requests of one camera. A frame counts once, however many parts it has."""

    frames: int = 0  # that were asked for
    parts: int = 0  # further requests of frames that were accepted
    served: int = 0  # frames
    late: int = 0  # answered at once: no time before their deadline
    replaced: int = 0  # gave way to a newer frame, or to a prompt that waited
    forgotten: int = 0  # waited when the camera went away
    failed: int = 0  # the model had no answer
    misses: int = 0  # parts that were served after their deadline
    used_s: float = 0.0  # of the model's time

    @property
    def dropped(self) -> int:
        """All that the model was not asked."""
        return self.late + self.replaced + self.forgotten


@dataclass(frozen=True)
class DeviceFigures:
    """How a model is shared, as of now."""

    batches: int
    batch_occupancy: float  # requests in a batch, on average
    jain_index: float  # of the cameras' service ratios, lately
    queue_p50_ms: float  # how long requests waited
    queue_p99_ms: float
    busy_s: float
    waiting: int = 0


class SchedulerFigures:
    """Counts what happens."""

    def __init__(self) -> None:
        self.cameras: dict[str, CameraCounts] = {}
        self.gone = CameraCounts()  # of the cameras that went away
        self.queue = Latency()
        self.batches = 0
        self.batched = 0  # requests in them
        self.busy_s = 0.0
        self._window_began_s: float | None = None
        self._bases: tuple[dict[str, tuple[int, int]], dict[str, tuple[int, int]]] = ({}, {})  # at the last two starts

    def has(self, camera: str) -> bool:
        """Whether a camera is there: it has asked, and did not go away."""
        return camera in self.cameras

    def submitted(self, request: Request, now_s: float) -> None:
        """A request came."""
        if self._window_began_s is None:
            self._window_began_s = now_s
        elif now_s - self._window_began_s >= WINDOW_S:
            self._window_began_s = now_s
            frames = {name: (counts.frames, counts.served) for name, counts in self.cameras.items()}
            self._bases = (self._bases[1], frames)
        counts = self._of(request.camera)
        if request.continues:
            counts.parts += 1
        else:
            counts.frames += 1

    def declined(self, declined: Declined) -> None:
        """A request was answered without the model."""
        counts = self._of(declined.request.camera)
        setattr(counts, declined.reason, getattr(counts, declined.reason) + 1)

    def began(self, batch: Batch, waited_s: list[float]) -> None:
        """A batch was given to the model."""
        self.batches += 1
        self.batched += len(batch.requests)
        for seconds in waited_s:
            self.queue.add(1e3 * seconds)

    def used(self, request: Request, cost_s: float) -> None:
        """A request took so much of the model's time."""
        self._of(request.camera).used_s += cost_s

    def finished(self, batch: Batch, now_s: float, *, failed: bool = False) -> None:
        """The model has answered a batch, or failed at it."""
        self.busy_s += now_s - batch.began_s
        for request in batch.requests:
            counts = self.cameras.get(request.camera)
            if counts is None:  # it went away meanwhile
                continue
            if not request.continues:
                counts.served += not failed
            counts.failed += failed
            counts.misses += now_s > request.deadline_s

    def forget(self, camera: str) -> None:
        """A camera is gone; its counts stay in the sum."""
        counts = self.cameras.pop(camera, None)
        if counts is not None:
            for name, value in asdict(counts).items():
                setattr(self.gone, name, getattr(self.gone, name) + value)
        for base in self._bases:
            base.pop(camera, None)

    def service_ratio(self, camera: str) -> float:
        """Served of asked frames, in the last 10 to 20 s; 1 where none was asked for."""
        counts = self.cameras.get(camera)
        if counts is None:
            return 1.0
        frames, served = self._bases[0].get(camera, (0, 0))
        asked = counts.frames - frames
        return min(1.0, (counts.served - served) / asked) if asked > 0 else 1.0

    def device(self, waiting: int = 0) -> DeviceFigures:
        """All cameras together."""
        asking = [c for c, counts in self.cameras.items() if counts.frames > self._bases[0].get(c, (0, 0))[0]]
        return DeviceFigures(
            batches=self.batches,
            batch_occupancy=self.batched / self.batches if self.batches else 0.0,
            jain_index=jain_index(self.service_ratio(camera) for camera in asking),
            queue_p50_ms=self.queue.quantile(0.5),
            queue_p99_ms=self.queue.quantile(0.99),
            busy_s=self.busy_s,
            waiting=waiting,
        )

    def _of(self, camera: str) -> CameraCounts:
        counts = self.cameras.get(camera)
        if counts is None:
            counts = self.cameras[camera] = CameraCounts()
        return counts
