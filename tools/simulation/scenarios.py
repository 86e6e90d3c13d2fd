"""What happens to cameras and devices while simulated time passes: by name, planned into a `Simulation`."""

from __future__ import annotations

from collections.abc import Callable

from tools.simulation.engine import CameraSpec, Simulation

RECOVERY_S = 6.0  # until the cameras of a lost device are served elsewhere: 3 s of silence, and loading again (assumed)
HOG = CameraSpec("", 60.0, 20, "hog")
HOG_SHARE, BURST_SHARE, LEAVING_SHARE = 0.01, 0.2, 0.05  # of the cameras, one at least


def steady(simulation: Simulation, seconds: float) -> None:
    """Nothing happens."""


def hogs(simulation: Simulation, seconds: float) -> None:
    """One camera in a hundred has 60 frames/s and 20 objects; it comes after the others."""
    for i in range(_share(simulation, HOG_SHARE)):
        spec = CameraSpec(f"hog{i}", HOG.fps, HOG.objects, HOG.kind)
        simulation.at(0.0, lambda spec=spec: simulation.add_camera(spec))  # type: ignore[misc]


def bursts(simulation: Simulation, seconds: float) -> None:
    """A fifth of the cameras has five times as many objects in the middle third."""
    begin_s = simulation.warm_up_s + seconds / 3
    some = list(simulation.cameras.values())[: _share(simulation, BURST_SHARE)]

    def set_objects(times: int) -> None:
        for camera in some:
            camera.objects = times * camera.spec.objects

    simulation.at(begin_s, lambda: set_objects(5))
    simulation.at(begin_s + seconds / 3, lambda: set_objects(1))


def loss(simulation: Simulation, seconds: float) -> None:
    """A tenth of the devices, one at least, dies after a third of the time; of one alone, nothing is left."""
    names = list(simulation.devices)
    lost = names[: max(1, len(names) // 10)] if len(names) > 1 else []
    for name in lost:
        at_s = simulation.warm_up_s + seconds / 3
        simulation.at(at_s, lambda name=name: simulation.lose_device(name, RECOVERY_S))  # type: ignore[misc]


def churn(simulation: Simulation, seconds: float) -> None:
    """One camera in twenty goes, one after the other, and as many come."""
    names = list(simulation.cameras)
    leaving = names[: _share(simulation, LEAVING_SHARE)]
    moments = min(len(leaving), 10)  # at so many moments: each places all cameras
    for k in range(moments):
        part = leaving[k::moments]
        simulation.at(simulation.warm_up_s + (k + 0.5) * seconds / moments, lambda part=part: _swap(simulation, part))  # type: ignore[misc]


def _swap(simulation: Simulation, names: list[str]) -> None:
    for name in names:
        simulation.remove_camera(name)
    simulation.add_cameras([CameraSpec(f"{name}-new") for name in names])


def _share(simulation: Simulation, share: float) -> int:
    return max(1, round(share * len(simulation.cameras)))


SCENARIOS: dict[str, Callable[[Simulation, float], None]] = {
    "steady": steady,
    "hogs": hogs,
    "bursts": bursts,
    "loss": loss,
    "churn": churn,
}
