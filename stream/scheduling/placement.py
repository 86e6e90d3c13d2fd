"""What cameras cost and what devices give in, which device serves which camera out.

Cameras stay where they are as long as their device is there, allowed and not much fuller than the others: to move one
costs it its points. The others go, the dearest first, to the device that is then the least full.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

UNEVEN = 0.25  # a device may be fuller than the mean of its site by so much before cameras are moved away


@dataclass(frozen=True)
class CameraLoad:
    """What a camera asks for."""

    name: str
    load: float  # seconds a second of a device of speed 1
    site: str = ""  # where its pictures can be had; empty: everywhere


@dataclass(frozen=True)
class Device:
    """What serves cameras: a GPU, or the cores of a host."""

    name: str
    speed: float = 1.0
    site: str = ""
    most_cameras: int = 0  # that fit its memory; 0: any number


@dataclass(frozen=True)
class Placement:
    """Who is served where."""

    device_of: dict[str, str]
    moved: tuple[str, ...] = ()  # cameras that were elsewhere before
    unplaced: dict[str, str] = field(default_factory=dict)  # camera -> why

    def cameras_of(self, device: str) -> list[str]:
        """The cameras of a device."""
        return [camera for camera, where in self.device_of.items() if where == device]


class _Filling:
    """The devices of a site, the least full first."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self.devices = {d.name: d for d in devices}
        self.loads = dict.fromkeys(self.devices, 0.0)
        self.counts = dict.fromkeys(self.devices, 0)
        self._heap = [(0.0, d.name) for d in devices]

    def add(self, device: str, load: float, count: int = 1) -> None:
        self.loads[device] += load
        self.counts[device] += count
        heapq.heappush(self._heap, (self.fullness(device), device))

    def fullness(self, device: str) -> float:
        """Of its time that is asked for."""
        return self.loads[device] / self.devices[device].speed

    def has_room(self, device: str) -> bool:
        most = self.devices[device].most_cameras
        return not most or self.counts[device] < most

    def least_full(self) -> str | None:
        """The device with most to give; None where all are full of cameras."""
        while self._heap:
            fullness, device = self._heap[0]
            if fullness == self.fullness(device) and self.has_room(device):
                return device
            heapq.heappop(self._heap)
        return None

    @property
    def mean(self) -> float:
        """The fullness of all together."""
        return sum(self.loads.values()) / sum(d.speed for d in self.devices.values())


def place(
    cameras: Iterable[CameraLoad],
    devices: Sequence[Device],
    current: Mapping[str, str] | None = None,
    *,
    most_load: float = float("inf"),
) -> Placement:
    """Cameras onto devices; the same answer to the same question.

    `current`: where cameras are now. `most_load`: of a device's time; infinite: too many cameras are served less often.
    A camera that finds no device is left out, with the reason.
    """
    current = current or {}
    loads = sorted(cameras, key=lambda c: (-c.load, c.name))
    sites: dict[str, _Filling] = {"": _Filling(devices)}  # cameras without a site may go anywhere
    for site in {d.site for d in devices if d.site}:
        sites[site] = _Filling([d for d in devices if d.site == site])
    placed: dict[str, str] = {}
    homeless = []
    for camera in loads:
        filling, device = sites.get(camera.site), current.get(camera.name, "")
        if filling and device in filling.devices and filling.has_room(device):
            placed[camera.name] = device
            _count(sites, device, camera.load)
        else:
            homeless.append(camera)
    homeless += _take_from_uneven(loads, placed, sites)
    unplaced = {}
    for camera in sorted(homeless, key=lambda c: (-c.load, c.name)):
        filling = sites.get(camera.site)
        target = filling.least_full() if filling else None
        if filling is None or not filling.devices:
            unplaced[camera.name] = f"there is no device at {camera.site!r}" if camera.site else "there is no device"
        elif target is None:
            unplaced[camera.name] = f"the {len(filling.devices)} devices have room for no more cameras"
        elif (full := filling.fullness(target) + camera.load / filling.devices[target].speed) > most_load:
            unplaced[camera.name] = f"the least full device would be asked for {full:.2f} of its time ({most_load:g})"
        else:
            placed[camera.name] = target
            _count(sites, target, camera.load)
    moved = tuple(c for c, device in placed.items() if current.get(c, device) != device)
    return Placement(placed, moved, unplaced)


def _count(sites: Mapping[str, _Filling], device: str, load: float, count: int = 1) -> None:
    for filling in sites.values():
        if device in filling.devices:
            filling.add(device, load, count)


def _take_from_uneven(
    cameras: Sequence[CameraLoad], placed: dict[str, str], sites: Mapping[str, _Filling]
) -> list[CameraLoad]:
    """Cameras that have to leave devices much fuller than the mean, the cheapest first."""
    leaving = []
    for camera in reversed(cameras):
        device = placed.get(camera.name)
        if device is None:
            continue
        filling = sites[camera.site]
        most = (1 + UNEVEN) * filling.mean
        if filling.fullness(device) > most and filling.counts[device] > 1:
            del placed[camera.name]
            _count(sites, device, -camera.load, -1)
            leaving.append(camera)
    return leaving
