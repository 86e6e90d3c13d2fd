"""A simulation that has run in, its numbers out."""

from __future__ import annotations

from typing import Any

from stream.scheduling.fair_shares import jain_index
from tools.simulation.engine import SimulatedCamera, Simulation

Result = dict[str, Any]


def results(simulation: Simulation, seconds: float) -> Result:
    """Rates, ages, fairness, occupancy and cost of the time after the warm-up."""
    profile = simulation.profile
    cameras = [c for c in simulation.cameras.values() if c.spec.kind == "camera"]
    staying = [c for c in cameras if c.present_s <= simulation.warm_up_s]
    rates = sorted(_rate(c, "decoder", simulation.now_s) for c in staying)
    hogs = [_rate(c, "decoder", simulation.now_s) for c in simulation.cameras.values() if c.spec.kind == "hog"]
    batches = batched = 0
    busy_s = 0.0
    for name, device in simulation.devices.items():
        before = simulation.warm.get(name, (0, 0, 0.0))
        figures = device.scheduler.figures
        batches += figures.batches - before[0]
        batched += figures.batched - before[1]
        busy_s += figures.busy_s - before[2]
    counts = [c for d in simulation.devices.values() for c in d.scheduler.figures.cameras.values()]
    masks = sum(rates) / len(rates) if rates else 0.0
    device_share = busy_s / seconds / max(1, len(cameras))
    price = profile.price_per_hour
    return {
        "rate_hz": {"least": rates[0], "median": rates[len(rates) // 2], "most": rates[-1], "mean": masks},
        "tracked_hz": sum(_rate(c, "tracker", simulation.now_s) for c in staying) / len(staying)
        if "tracker" in profile.stages
        else masks,
        "hog_hz": sum(hogs) / len(hogs) if hogs else None,
        "jain_index": jain_index(rates),
        "age_ms": {"p50": simulation.age.quantile(0.5), "p99": simulation.age.quantile(0.99)},
        "age_cameras_ms": {
            q: simulation.ages_of["camera"].quantile(share) if "camera" in simulation.ages_of else 0.0
            for q, share in (("p50", 0.5), ("p99", 0.99))
        },
        "over_budget": simulation.late / max(1, simulation.age.total),
        "occupancy": batched / batches if batches else 0.0,
        "busy": busy_s / seconds / max(1, len(simulation.devices)),
        "declined": {
            "late": sum(c.late for c in counts),
            "replaced": sum(c.replaced for c in counts),
        },
        "moved": simulation.moved,
        "unplaced": len(simulation.unplaced),
        "device_s_per_camera_s": device_share,
        "usd_per_camera_month": price * 730 * len(simulation.devices) / max(1, len(cameras)),
    }


def _rate(camera: SimulatedCamera, stage: str, now_s: float) -> float:
    return camera.done[stage] / max(1e-9, now_s - camera.present_s)
