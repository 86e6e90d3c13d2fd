"""How many cameras a device carries: the search, the figures of a step, and a run seen by its messages."""

from __future__ import annotations

import itertools
import os
from types import SimpleNamespace

import numpy as np
import pytest

from stream.messages import Masks, ObjectMask, Stamp
from stream.public_wire.messages import pack_masks
from tools.bench.gpu import camera_run
from tools.bench.gpu.camera_run import CameraRun, Pace, load_between, most_since
from tools.bench.gpu.camera_search import Step, next_count, search


def step_of(cameras, rate_hz, seconds=10.0):
    each = round(rate_hz * seconds)
    return Step(seconds=seconds, decoded=(each,) * cameras, published=(100,) * cameras, ages_ms=(1.0,))


@pytest.mark.parametrize(
    ("most", "tried"),
    [
        (0, [1]),
        (1, [1, 2]),
        (3, [1, 2, 4, 3]),
        (8, [1, 2, 4, 8, 16, 12, 10]),
        (13, [1, 2, 4, 8, 16, 12, 14]),
        (64, [1, 2, 4, 8, 16, 32, 64]),
    ],
)
def test_cameras_are_doubled_until_the_rate_falls_then_halved_between(most, tried):
    asked = []

    def take(count):
        asked.append(count)
        return step_of(count, 10.0 if count <= most else 9.0)

    carried, steps = search(take, 10.0, 64, 60.0)
    assert asked == tried == [s.cameras for s in steps]
    assert most - 2 <= carried <= most


def test_a_search_ends_with_its_time_which_begins_after_the_first_step():
    now = [0.0]

    def take(count):
        now[0] += 100.0 if count == 1 else 10.0
        return step_of(count, 10.0)

    carried, steps = search(take, 10.0, 64, 15.0, clock=lambda: now[0])
    assert (carried, len(steps)) == (4, 3)


def test_five_percent_less_than_the_cameras_rate_counts_as_carried():
    assert search(lambda count: step_of(count, 9.5 if count == 1 else 9.4), 10.0, 8, 60.0)[0] == 1


def test_nothing_is_tried_beyond_the_most():
    assert next_count(64, None, 64) is None
    assert next_count(0, None, 64) == 1
    assert next_count(4, 5, 64) is None


def test_a_step_tells_the_mean_the_slowest_and_how_even():
    step = Step(seconds=2.0, decoded=(20, 10), published=(20, 20), ages_ms=(10.0, 20.0))
    assert (step.rate_hz, step.slowest_hz, step.published_hz) == (7.5, 5.0, 10.0)
    assert step.jain_index == pytest.approx(0.9)
    assert step.age_p95_ms == pytest.approx(19.5)
    assert Step(1.0, (0,), (3,), ()).age_p95_ms is None


def test_what_the_model_did_in_a_step_is_what_it_did_since_the_one_before():
    before = {"batches": 100, "busy_ms": 1000, "batch_occupancy": 1.0, "passes": 12}
    after = {"batches": 150, "busy_ms": 3000, "batch_occupancy": 2.0, "passes": 3}
    load = load_between(before, after, cpu_s=6.0, elapsed_s=4.0)
    assert load == {"requests": 4.0, "busy": 50.0, "cores": 1.5, "passes": 3}
    assert load_between({"passes": 0}, after, 1.0, 1.0) == {"cores": 1.0, "passes": 3}


def test_the_process_with_the_model_is_the_one_that_works_now_not_the_one_that_compiled_at_its_start():
    assert most_since({"capture": 9.0, "device": 2.0}, {"capture": 9.5, "device": 4.0, "new": 1.0}) == 2.0


class FakeRun:
    """A run that says what it is asked for."""

    def __init__(self):
        self.process = SimpleNamespace(pid=os.getpid(), poll=lambda: None)
        self.asked = []
        self.refusals = ["busy"]

    def ask(self, method, **params):
        self.asked.append((method, params["camera"]))
        if method == "remove_camera" and self.refusals:
            return {"error": self.refusals.pop()}
        device = {"batches": 10, "busy_ms": 5.0, "batch_occupancy": 1.5, "jain_index": 1.0}
        return {"sharing": {"device": device}, "budget": {"refinement_passes": 4}}

    def follow(self, camera, box):
        self.asked.append(("add_object", camera))


class FakeListener:
    """Each camera's frames at once, decoded but for every third one."""

    def __init__(self, run_cameras, clock):
        self.cameras = run_cameras
        self.clock = clock
        self.count = itertools.count()

    def recv(self, timeout_ms):
        self.clock[0] += 0.05
        now_ns, n = round(1e9 * self.clock[0]), next(self.count)
        cameras = self.cameras()
        stamp = Stamp(
            camera=cameras[n % len(cameras)], session=0, frame_id=n, captured_ns=now_ns - 10**7, captured_unix_ns=1
        )
        item = ObjectMask(
            object_id=1,
            state="tracked",
            origin="decoded" if n // len(cameras) % 3 else "propagated",
            score=1.0,
            bbox=(0, 0, 2, 2),
            mask=np.ones((2, 2), np.uint8),
            area=4,
            xy=np.zeros((0, 2), np.float32),
            visibility=np.zeros(0, np.float32),
            labels=np.zeros(0, np.uint8),
        )
        return pack_masks(Masks(stamp=stamp, size=(4, 4), objects=(item,)), "packbits", now_ns, n, "p")


def test_a_run_is_given_cameras_and_what_each_gets_is_counted(monkeypatch):
    clock = [100.0]
    fake_time = SimpleNamespace(
        monotonic=lambda: clock[0],
        monotonic_ns=lambda: round(1e9 * clock[0]),
        sleep=lambda s: clock.__setitem__(0, clock[0] + s),
    )
    monkeypatch.setattr(camera_run, "time", fake_time)
    run = FakeRun()
    cameras = CameraRun(run, FakeListener(lambda: cameras.cameras, clock), (720, 1280), Pace(5.0, 1.0, 6.0))
    step = cameras.take(2)
    assert step.cameras == 2
    assert sum(step.published) == 119  # every 50 ms, but for the one at the very end
    assert 76 <= sum(step.decoded) <= 82
    assert step.age_p95_ms == pytest.approx(10.0)
    assert [a for a in run.asked if a[0] != "stats"] == [
        ("add_camera", "camera1"),
        ("add_object", "camera0"),
        ("add_object", "camera1"),
    ]
    assert cameras.take(1).cameras == 1
    assert run.asked.count(("remove_camera", "camera1")) == 2  # it was busy once
    assert cameras.loads[0]["passes"] == 4
