"""Which device serves which camera."""

from __future__ import annotations

import random

import pytest

from stream.scheduling.placement import UNEVEN, CameraLoad, Device, place


def loads(n: int, load: float = 0.1, site: str = "") -> list[CameraLoad]:
    return [CameraLoad(f"{site}c{i:03}", load, site) for i in range(n)]


def devices(n: int, **more) -> list[Device]:
    return [Device(f"d{i}", **more) for i in range(n)]


def fullness(placement, cameras, machines):
    asked = {c.name: c.load for c in cameras}
    return [sum(asked[c] for c in placement.cameras_of(d.name)) / d.speed for d in machines]


def test_equal_cameras_are_spread_evenly():
    placement = place(loads(12), devices(4))
    assert [len(placement.cameras_of(f"d{i}")) for i in range(4)] == [3, 3, 3, 3]


@pytest.mark.parametrize("seed", range(10))
def test_cameras_of_any_cost_fill_devices_by_their_speed(seed):
    rng = random.Random(seed)
    cameras = [CameraLoad(f"c{i}", rng.uniform(0.01, 0.2)) for i in range(100)]
    machines = [Device(f"d{i}", speed=rng.choice([1.0, 2.0])) for i in range(6)]
    full = fullness(place(cameras, machines), cameras, machines)
    assert max(full) - min(full) <= 0.2


def test_the_same_question_has_the_same_answer():
    cameras = loads(50)
    assert place(cameras, devices(7)) == place(list(reversed(cameras)), devices(7))


def test_cameras_stay_where_they_are():
    cameras, machines = loads(20), devices(4)
    first = place(cameras, machines)
    again = place([*cameras, CameraLoad("new", 0.1)], machines, first.device_of)
    assert again.moved == ()
    assert {c: d for c, d in again.device_of.items() if c != "new"} == first.device_of


def test_of_a_device_that_is_lost_the_cameras_alone_move():
    cameras, machines = loads(20), devices(4)
    first = place(cameras, machines)
    lost = set(first.cameras_of("d0"))
    after = place(cameras, machines[1:], first.device_of)
    assert set(after.moved) == lost
    assert sorted(len(after.cameras_of(d.name)) for d in machines[1:]) == [6, 7, 7]


def test_a_new_device_takes_cameras_from_the_fullest():
    cameras, machines = loads(20), devices(5)
    first = place(cameras, machines[:1])
    after = place(cameras, machines, first.device_of)
    full = fullness(after, cameras, machines)
    assert max(full) <= (1 + UNEVEN) * sum(full) / len(full) + 0.1
    assert len(after.moved) <= 16


def test_a_camera_is_served_at_its_site_alone():
    cameras = [*loads(6, site="north"), *loads(2, site="south")]
    machines = [Device("n", site="north"), Device("s", site="south")]
    placement = place(cameras, machines)
    assert len(placement.cameras_of("n")) == 6
    assert len(placement.cameras_of("s")) == 2


def test_a_camera_that_finds_no_device_is_left_out_with_the_reason():
    placement = place(loads(1, site="nowhere"), devices(2))
    assert placement.device_of == {}
    assert placement.unplaced == {"nowherec000": "there is no device at 'nowhere'"}
    assert place(loads(1), []).unplaced == {"c000": "there is no device"}


def test_memory_limits_how_many_cameras_a_device_takes():
    placement = place(loads(5), devices(2, most_cameras=2))
    assert sorted(len(placement.cameras_of(f"d{i}")) for i in range(2)) == [2, 2]
    assert list(placement.unplaced.values()) == ["the 2 devices have room for no more cameras"]


def test_more_load_than_there_is_time_is_placed_unless_a_limit_is_given():
    assert not place(loads(30), devices(1)).unplaced
    placement = place(loads(30), devices(1), most_load=1.0)
    assert len(placement.device_of) == 10
    assert "1.10 of its time (1)" in placement.unplaced["c010"]
