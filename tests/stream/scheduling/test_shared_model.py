"""A model's thread and those who ask it from theirs."""

from __future__ import annotations

import threading
import time

import pytest
from running import until

from nodes.device import DeviceNodes
from stream.errors import ModelError
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.fair_shares import jain_index
from stream.scheduling.requests import DeclinedError, Request, Urgency
from stream.scheduling.shared_model import SharedModel
from stream.scheduling.shared_models import SharedModels


class HeldModel:
    """Doubles numbers, once a test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.held = threading.Event()

    def __call__(self, payloads):
        self.batches.append(list(payloads))
        self.held.wait(30)
        if any(p < 0 for p in payloads):
            raise ModelError(f"no answer to {payloads}")
        return [2 * p for p in payloads]


@pytest.fixture
def held():
    return HeldModel()


@pytest.fixture
def model(held):
    shared = SharedModel("cpu")
    shared.serve("double", held)
    yield shared
    held.held.set()
    shared.close()


def asking(model, answers, camera, payload, **more):
    """A thread that asks, and writes down what it got."""

    def ask() -> None:
        try:
            answers[camera] = model.submit(Request(camera, "double", payload=payload, **more))
        except ModelError as error:
            answers[camera] = error

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def test_every_request_gets_its_own_answer(model, held):
    held.held.set()
    answers = {}
    threads = [asking(model, answers, f"c{i}", i) for i in range(20)]
    for thread in threads:
        thread.join(30)
    assert answers == {f"c{i}": 2 * i for i in range(20)}
    assert sum(len(b) for b in held.batches) == 20


def test_one_that_is_replaced_or_withdrawn_is_told_so(model, held):
    answers = {}
    asking(model, answers, "first", 1)
    until(lambda: held.batches, "a batch in work")
    asking(model, answers, "waits", 2)
    until(lambda: model.figures().waiting == 1, "a request that waits")
    assert model.withdraw(("waits", "decoder"))
    until(lambda: "waits" in answers, "its answer")
    assert isinstance(answers["waits"], DeclinedError)
    assert answers["waits"].reason == "replaced"
    assert not model.withdraw(("first", "decoder")), "in work"
    held.held.set()
    until(lambda: answers.get("first") == 2, "the answer of the one in work")


def test_a_failure_is_of_the_request_that_caused_it(model, held):
    answers = {}
    asking(model, answers, "first", 0)
    until(lambda: held.batches, "a batch in work")
    model._scheduler.cost("double").add(1, 1.0)
    for units in (1, 1, 1, 2, 2, 2):
        model._scheduler.cost("double").add(units, 0.001)  # so that a common batch pays
    asking(model, answers, "good", 3)
    asking(model, answers, "bad", -1)
    until(lambda: model.figures().waiting == 2, "both wait")
    held.held.set()
    until(lambda: len(answers) == 3, "all answers")
    assert [3, -1] in held.batches or [-1, 3] in held.batches
    assert answers["good"] == 6
    assert isinstance(answers["bad"], ModelError)


def test_a_camera_that_goes_away_is_not_waited_for(model, held):
    answers = {}
    asking(model, answers, "first", 1)
    until(lambda: held.batches, "a batch in work")
    asking(model, answers, "gone", 2)
    until(lambda: model.figures().waiting == 1, "a request that waits")
    model.forget("gone")
    until(lambda: "gone" in answers, "its answer")
    assert answers["gone"].reason == "forgotten"


def test_a_model_that_is_closed_answers_nobody(model, held):
    answers = {}
    asking(model, answers, "a", 1)
    until(lambda: held.batches, "a batch in work")
    model.close()
    until(lambda: "a" in answers, "its answer")
    assert isinstance(answers["a"], DeclinedError)
    with pytest.raises(DeclinedError):
        model.submit(Request("b", "double", payload=1))


def test_a_model_is_loaded_once_however_many_ask_at_the_same_time():
    models, made = SharedModels(), []

    def load():
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    found = []
    threads = [threading.Thread(target=lambda: found.append(models.load("sam", load))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 1
    assert found == made * 8
    assert models.loads == {"sam": 1}
    assert models.device("cpu") is models.device("cpu")


def test_a_load_that_fails_is_tried_again_by_the_next():
    models = SharedModels()
    with pytest.raises(ModelError):
        models.load("sam", lambda: (_ for _ in ()).throw(ModelError("no memory")))
    assert models.load("sam", lambda: 3) == 3


def test_a_frame_is_asked_for_by_its_first_request_and_finished_by_the_others(held):
    held.held.set()
    requests = []
    now = [100.0]
    model = SharedModel("cpu", clock=lambda: now[0])
    model.serve("double", held)
    submit = model.submit
    model.submit = lambda request: requests.append(request) or submit(request)
    client = CameraClient(model, "door", "decoder")
    with client.frame(Urgency.BOUNDARY, captured_ns=int(99.9e9), budget_s=0.5):
        client.ask("double", 1)
        client.ask("double", 2, units=3)
    first, second = requests
    assert (first.urgency, first.deadline_s, first.continues) == (Urgency.BOUNDARY, pytest.approx(100.4), False)
    assert (second.units, second.continues, second.may_decline) == (3, True, False)
    client.ask("double", 3)
    assert (requests[2].must_serve, requests[2].deadline_s) == (True, float("inf"))
    model.close()


def test_a_frame_of_another_hosts_clock_counts_as_captured_now(held):
    held.held.set()
    model = SharedModel("cpu", clock=lambda: 100.0)
    model.serve("double", held)
    client = CameraClient(model, "door", "decoder")
    with client.frame(Urgency.FRAME, captured_ns=int(5e12), budget_s=0.5):
        assert client.ask("double", 1) == 2
    model.close()


def test_seven_equal_cameras_beside_a_hog_are_served_alike_in_real_time():
    """The real scheduler and threads; the model sleeps its cost."""
    model = SharedModel("cpu")

    def sleeping(payloads):
        time.sleep(0.0002 + 0.0008 * sum(payloads))
        return payloads

    model.serve("frames", sleeping)
    served, stop = {}, threading.Event()

    def camera(name, objects, period_s):
        at_s = time.monotonic()
        while not stop.is_set():
            at_s = max(at_s + period_s, time.monotonic() - period_s)
            time.sleep(max(0.0, at_s - time.monotonic()))
            try:
                request = Request(name, "frames", deadline_s=time.monotonic() + 5, units=objects, payload=objects)
                model.submit(request)
                served[name] = served.get(name, 0) + 1
            except DeclinedError:
                pass

    specs = [(f"c{i}", 1, 0.1) for i in range(7)] + [("hog", 20, 1 / 60)]
    threads = [threading.Thread(target=camera, args=spec, daemon=True) for spec in specs]
    for thread in threads:
        thread.start()
    until(lambda: min(served.get(name, 0) for name, *_ in specs) >= 20, "twenty frames of each camera")
    stop.set()
    for thread in threads:
        thread.join(30)
    equal = [served[f"c{i}"] for i in range(7)]
    assert jain_index(equal) >= 0.95
    model.close()


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("CUDA error: unknown error\nCompile with more to see"), "CUDA error: unknown error"),
        (ModelError("out of memory decoding masks: CUDA out of memory"), ""),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ""),
    ],
)
def test_a_lost_device_is_said_and_ends_its_process(error, lost):
    def fail(payloads):
        raise error

    models = SharedModels()
    model = models.device("cuda")
    model.serve("double", fail)
    with pytest.raises(type(error)):
        model.submit(Request("door", "double", payload=1))
    assert models.lost == lost
    if lost:
        nodes = DeviceNodes.__new__(DeviceNodes)  # without a node: what it does when the device is gone
        nodes.models, nodes._stop, nodes._cameras = models, threading.Event(), {}
        assert nodes.run() == 1
    models.close()
