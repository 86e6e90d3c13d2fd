"""Cameras, devices and events in, what became of every frame out: a discrete-event simulation.

The schedulers are the very ones that serve a process; only the model is replaced by its cost. They are not told what it
is: they measure it, as they do in a process.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream.scheduling.placement import CameraLoad, Device, place
from stream.scheduling.requests import Batch, Declined, Request, Urgency
from stream.scheduling.scheduler import Scheduler
from stream.timing import Latency
from tools.simulation.profiles import Profile, Step

BOUNDARY_EVERY = 7  # frames: a horizon of 8 shares its last one with the next
REST_SHARE = 0.2  # of a new frame in what a frame takes after its first request
NOISE = 0.05  # of the duration of a batch, standard deviation
PAUSE_SHARE, PAUSE_TIMES = 0.002, 5.0  # of the batches, and so much longer: a machine does other things, too


@dataclass(frozen=True)
class CameraSpec:
    """A camera as the user has it."""

    name: str
    fps: float = 10.0
    objects: int = 1
    kind: str = "camera"  # cameras of a kind are equal: their rates are compared


class _Chain:
    """The frame that a stage of a camera works at, and the newest that waits for it."""

    __slots__ = (
        "asked_s",
        "captured_s",
        "pending_s",
        "request",
        "rest_s",
        "step",
        "steps",
        "times",
        "under_way",
        "urgency",
    )

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.request: Request | None = None  # that waits or is in work
        self.under_way = False  # its frame has begun
        self.captured_s = 0.0
        self.urgency = Urgency.FRAME
        self.pending_s: float | None = None  # captured
        self.step = 0
        self.times = 0
        self.asked_s = 0.0  # when its first request was served
        self.rest_s = 0.0  # from there to the end of a frame, lately


class SimulatedCamera:
    """A camera, where it is served, and what became of its frames."""

    def __init__(self, spec: CameraSpec, stages: dict[str, tuple[Step, ...]], phase_s: float) -> None:
        self.spec = spec
        self.objects = spec.objects  # as of now: a burst brings more
        self.phase_s = phase_s
        self.device: SimulatedDevice | None = None
        self.chains = {stage: _Chain(steps) for stage, steps in stages.items()}
        self.captured = 0
        self.present_s = 0.0  # counted since
        self.gone_s: float | None = None
        self.done = dict.fromkeys(stages, 0)  # frames that a stage has finished
        self.out_until_s = 0.0  # it is being started on another device

    def reset(self) -> None:
        """Forget the frames under way."""
        self.chains = {stage: _Chain(chain.steps) for stage, chain in self.chains.items()}


class SimulatedDevice:
    """A scheduler, and the cost of the model that it serves."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.scheduler = Scheduler()
        self.alive = True


class Simulation:
    """Simulated time. `at` plans what happens to cameras and devices; `run` lets it pass."""

    def __init__(
        self,
        cameras: Sequence[CameraSpec],
        devices: Sequence[Device],
        profile: Profile,
        *,
        budget_s: float = 0.5,
        warm_up_s: float = 2.0,
        seed: int = 0,
    ) -> None:
        self.profile = profile
        self.budget_s = budget_s
        self.warm_up_s = warm_up_s  # what happens before does not count
        self.rng = random.Random(seed)
        self.now_s = 0.0
        self.devices = {d.name: SimulatedDevice(d) for d in devices}
        self.cameras: dict[str, SimulatedCamera] = {}
        self.gone: list[SimulatedCamera] = []
        self.unplaced: dict[str, str] = {}
        self.moved = 0
        self.age = Latency()  # capture to decoded masks
        self.ages_of: dict[str, Latency] = {}  # the same by kind of camera
        self.late = 0  # masks older than the budget
        self._stages = list(profile.stages)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self.warm: dict[str, tuple[int, int, float]] = {}  # device -> batches, requests, busy at the end of the warm-up
        for spec in cameras:
            self._add(spec)
        self._place()
        self.at(warm_up_s, self._warmed_up)

    # --- what happens to cameras and devices ------------------------------------------------------------------------

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Plan something."""
        heapq.heappush(self._events, (time_s, next(self._count), action))

    def add_camera(self, spec: CameraSpec) -> None:
        """A camera comes, and is placed."""
        self.add_cameras([spec])

    def add_cameras(self, specs: Sequence[CameraSpec]) -> None:
        """Cameras come, and are placed."""
        for spec in specs:
            self._add(spec)
        self._place()

    def remove_camera(self, name: str) -> None:
        """A camera goes."""
        camera = self.cameras.pop(name)
        camera.gone_s = self.now_s
        self.gone.append(camera)
        if camera.device is not None:
            camera.device.scheduler.forget(name)
            camera.device = None

    def lose_device(self, name: str, out_s: float) -> None:
        """A device dies; its cameras are started elsewhere, where their frames are served after `out_s`."""
        device = self.devices.pop(name)
        device.alive = False
        lost = [camera for camera in self.cameras.values() if camera.device is device]
        for camera in lost:
            camera.device = None
        self._place()
        for camera in lost:
            camera.out_until_s = self.now_s + out_s

    def run(self, until_s: float) -> None:
        """Let time pass."""
        events = self._events
        while events and events[0][0] <= until_s:
            self.now_s, _, action = heapq.heappop(events)
            action()
        self.now_s = until_s

    # --- parts ------------------------------------------------------------------------------------------------------

    def _add(self, spec: CameraSpec) -> None:
        period_s = 1 / spec.fps
        camera = SimulatedCamera(spec, self.profile.stages, self.now_s + self.rng.random() * period_s)
        camera.present_s = max(self.now_s, self.warm_up_s)
        self.cameras[spec.name] = camera
        self.at(camera.phase_s, lambda: self._frame(camera))

    def _place(self) -> None:
        loads = [CameraLoad(c.spec.name, self.profile.load(c.spec.fps, c.spec.objects)) for c in self.cameras.values()]
        current = {name: c.device.device.name for name, c in self.cameras.items() if c.device is not None}
        placement = place(loads, [d.device for d in self.devices.values()], current)
        self.unplaced = placement.unplaced
        for name, camera in self.cameras.items():
            device = self.devices.get(placement.device_of.get(name, ""))
            if device is not camera.device:
                if camera.device is not None:
                    camera.device.scheduler.forget(name)
                    self.moved += 1
                camera.device = device
                camera.reset()

    def _frame(self, camera: SimulatedCamera) -> None:
        """A frame is captured; the next one follows."""
        if camera.gone_s is not None:
            return
        camera.captured += self.now_s >= self.warm_up_s
        period_s = 1 / camera.spec.fps
        jitter_s = 0.1 * period_s * (self.rng.random() - 0.5)
        camera.phase_s += period_s
        heapq.heappush(
            self._events, (max(camera.phase_s + jitter_s, self.now_s), next(self._count), lambda: self._frame(camera))
        )
        if camera.device is not None and self.now_s >= camera.out_until_s:
            self._begin(camera, 0, self.now_s)
            self._serve(camera.device)

    def _begin(self, camera: SimulatedCamera, stage: int, captured_s: float) -> None:
        """A frame comes to a stage: it is asked for, or waits for the one under way."""
        name = self._stages[stage]
        chain = camera.chains[name]
        if chain.under_way:
            chain.pending_s = captured_s
            return
        boundary = name == "decoder" and camera.done[name] % BOUNDARY_EVERY == 0
        chain.captured_s, chain.step, chain.times = captured_s, 0, 0
        chain.urgency = Urgency.BOUNDARY if boundary else Urgency.FRAME
        self._ask(camera, name, chain, continues=False)

    def _ask(self, camera: SimulatedCamera, stage: str, chain: _Chain, *, continues: bool) -> None:
        device = camera.device
        assert device is not None
        step = chain.steps[chain.step]
        request = Request(
            camera.spec.name,
            step.group if step.batched else (step.group, camera.spec.name),
            chain.urgency,
            chain.captured_s + self.budget_s,
            camera.objects if step.by_object else 1,
            chain.rest_s if not continues else 0.0,
            stage,
            must_serve=stage != "decoder",
            continues=continues,
            payload=(camera, chain),
        )
        chain.request = request
        self._decline(device.scheduler.submit(request, self.now_s))

    def _decline(self, declined: Sequence[Declined]) -> None:
        for one in declined:
            _, chain = one.request.payload
            if chain.request is one.request:
                chain.request = None

    def _serve(self, device: SimulatedDevice) -> None:
        """Give the device its next batch, if it is free."""
        if device.scheduler.in_work is not None:
            return
        batch, declined = device.scheduler.next_batch(self.now_s)
        self._decline(declined)
        if batch is None:
            return
        for request in batch.requests:
            request.payload[1].under_way = True
        group = batch.requests[0].group
        kind = group[0] if isinstance(group, tuple) else group
        cost_s = self.profile.cost_s(str(kind), batch.units) / device.device.speed
        cost_s *= max(0.5, self.rng.gauss(1, NOISE)) * (PAUSE_TIMES if self.rng.random() < PAUSE_SHARE else 1)
        heapq.heappush(self._events, (self.now_s + cost_s, next(self._count), lambda: self._batch_ends(device, batch)))

    def _batch_ends(self, device: SimulatedDevice, batch: Batch) -> None:
        if not device.alive:
            return
        device.scheduler.finish(batch, self.now_s)
        for request in batch.requests:
            camera, chain = request.payload
            if chain.request is request and camera.device is device:
                self._step_ends(camera, request.stage, chain)
        self._serve(device)

    def _step_ends(self, camera: SimulatedCamera, stage: str, chain: _Chain) -> None:
        if chain.step == chain.times == 0:
            chain.asked_s = self.now_s
        chain.times += 1
        if chain.times >= chain.steps[chain.step].times:
            chain.step, chain.times = chain.step + 1, 0
        if chain.step < len(chain.steps):
            self._ask(camera, stage, chain, continues=True)
            return
        chain.request, chain.under_way = None, False
        captured_s, pending_s = chain.captured_s, chain.pending_s
        chain.rest_s += REST_SHARE * (self.now_s - chain.asked_s - chain.rest_s)
        chain.pending_s = None
        if self.now_s >= self.warm_up_s:
            camera.done[stage] += 1
        index = self._stages.index(stage)
        if index + 1 < len(self._stages):
            self._begin(camera, index + 1, captured_s)
        elif self.now_s >= self.warm_up_s:
            age_s = self.now_s - captured_s
            self.age.add(1e3 * age_s)
            self.ages_of.setdefault(camera.spec.kind, Latency()).add(1e3 * age_s)
            self.late += age_s > self.budget_s
        if pending_s is not None:
            self._begin(camera, index, pending_s)

    def _warmed_up(self) -> None:
        for name, device in self.devices.items():
            figures = device.scheduler.figures
            self.warm[name] = figures.batches, figures.batched, figures.busy_s
