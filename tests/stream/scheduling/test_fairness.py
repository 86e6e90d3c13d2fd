"""Many cameras in simulated time: who gets how much, how old masks are, and what is kept in memory."""

from __future__ import annotations

import math
import random

import pytest

from stream.scheduling.fair_shares import jain_index
from stream.scheduling.placement import Device
from stream.scheduling.requests import Request, Urgency
from stream.scheduling.scheduler import Scheduler
from tools.simulation.engine import CameraSpec, Simulation
from tools.simulation.profiles import Profile, Step

STEPS = (Step("encode"), Step("pass", times=5, by_object=True))
BATCHED = Profile("batched", True, {"decoder": STEPS}, {"encode": (0.004, 0.004), "pass": (0.001, 0.0005)}, 1.0)
PROPORTIONAL = Profile("proportional", True, {"decoder": STEPS}, {"encode": (0.0, 0.008), "pass": (0.0, 0.001)}, 1.0)
SEEDS = range(2)


def cameras(n: int, fps: float = 10.0, objects: int = 1) -> list[CameraSpec]:
    return [CameraSpec(f"c{i}", fps, objects) for i in range(n)]


HOG = CameraSpec("hog", 60.0, 20, "hog")


def simulate(specs: list[CameraSpec], profile: Profile = BATCHED, seconds: float = 8.0, **more) -> Simulation:
    simulation = Simulation(specs, [Device("gpu")], profile, **more)
    simulation.run(simulation.warm_up_s + seconds)
    return simulation


def rates(simulation: Simulation, seconds: float = 8.0, kind: str = "camera") -> list[float]:
    return [c.done["decoder"] / seconds for c in simulation.cameras.values() if c.spec.kind == kind]


@pytest.mark.parametrize("profile", [BATCHED, PROPORTIONAL], ids=lambda p: p.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_hog_leaves_seven_cameras_nine_tenths_of_what_they_have_alone(profile, seed):
    alone = rates(simulate(cameras(1), profile, seed=seed))[0]
    simulation = simulate([*cameras(7), HOG], profile, seed=seed)
    beside = rates(simulation)
    assert min(beside) >= 0.9 * alone
    assert jain_index(beside) >= 0.95
    assert simulation.ages_of["camera"].quantile(0.99) <= 500
    [hog] = rates(simulation, kind="hog")
    assert hog > 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [8, 50])
def test_overload_lowers_all_rates_alike_and_stops_nobody(n, seed):
    simulation = simulate(cameras(n), PROPORTIONAL, seconds=16, seed=seed)
    served = rates(simulation, 16)
    assert min(served) > 0
    assert jain_index(served) >= 0.95
    assert sum(served) * 0.013 > 0.9  # the device is busy, and with frames that are finished


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [2, 7])
def test_ages_stay_within_the_budget_where_there_is_capacity(n, seed):
    simulation = simulate(cameras(n), PROPORTIONAL, seed=seed)  # 7 cameras ask for 0.91 of the device
    assert simulation.age.quantile(0.99) <= 500
    assert min(rates(simulation)) >= 9


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_that_are_made_in_overload_are_fresh_all_the_same(seed):
    simulation = simulate(cameras(40), BATCHED, seed=seed)
    assert simulation.age.quantile(0.95) <= 600
    assert simulation.late <= 0.1 * simulation.age.total


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_grow_with_load_and_serve_more_cameras(seed):
    occupancies = []
    for n in (1, 8, 20):
        simulation = simulate(cameras(n), BATCHED, seed=seed)
        occupancies.append(simulation.devices["gpu"].scheduler.figures.device().batch_occupancy)
    assert occupancies[0] == 1
    assert occupancies == sorted(occupancies)
    frame_s = 0.008 + 5 * 0.0015  # alone
    assert sum(rates(simulation)) * frame_s > 1.3


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_stay_at_one_where_they_save_nothing(seed):
    simulation = simulate(cameras(20), PROPORTIONAL, seed=seed)
    assert simulation.devices["gpu"].scheduler.figures.device().batch_occupancy < 1.1


@pytest.mark.parametrize("seed", SEEDS)
def test_every_frame_is_accounted_for(seed):
    simulation = simulate([*cameras(20), HOG], BATCHED, seed=seed)
    scheduler = simulation.devices["gpu"].scheduler
    under_way = sum(chain.under_way for c in simulation.cameras.values() for chain in c.chains.values())
    asked = sum(c.frames for c in scheduler.figures.cameras.values())
    served = sum(c.served for c in scheduler.figures.cameras.values())
    dropped = sum(c.dropped for c in scheduler.figures.cameras.values())
    assert served + dropped <= asked <= served + dropped + under_way + scheduler.waiting
    assert dropped > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_request_stream_of_any_kind_leaves_in_memory_is_bounded_by_its_cameras(seed):
    rng = random.Random(seed)
    core, now_s, free_s = Scheduler(), 0.0, 0.0
    for i in range(5000):
        now_s += rng.expovariate(200)
        camera = f"c{rng.randrange(10) + i // 500}"  # they come and go
        core.submit(
            Request(
                camera,
                rng.choice(["encode", "pass"]),
                rng.choice(list(Urgency)),
                now_s + rng.uniform(-0.1, 1.0),
                rng.randint(1, 20),
                stage=rng.choice(["tracker", "decoder"]),
                continues=rng.random() < 0.3,
            ),
            now_s,
        )
        if core.in_work is not None and now_s >= free_s:
            core.finish(core.in_work, now_s, failed=rng.random() < 0.05)
        batch, _ = core.next_batch(now_s)
        if batch is not None:
            assert len({r.slot for r in batch.requests}) == len(batch.requests)
            assert len({r.group for r in batch.requests}) == 1
            free_s = now_s + 0.002 * batch.units
        if i % 500 == 499:
            core.forget(f"c{i // 500}")
        assert core.waiting <= 40
        assert all(math.isfinite(core.shares.credit_s(c)) for c in core.figures.cameras)
    assert len(core.shares) <= len(core.figures.cameras) <= 20


def test_the_same_seed_gives_the_same_run():
    one, other = (simulate([*cameras(10), HOG], seconds=5, seed=7) for _ in range(2))
    assert rates(one) == rates(other)
    assert one.age.counts == other.age.counts


@pytest.mark.parametrize(("values", "index"), [([], 1.0), ([0, 0], 1.0), ([3, 3, 3], 1.0), ([1, 0, 0, 0], 0.25)])
def test_jain_index(values, index):
    assert jain_index(values) == pytest.approx(index)
