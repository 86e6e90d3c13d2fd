"""A broker and a receiver are away for half a minute while a run goes on (`make slow`), and hear of all of it then."""

from __future__ import annotations

import json
import time

import pytest
from integrations.mosquitto import start_mosquitto, watch
from integrations.receiver import SECRET, start_receiver
from running import LOOP, until

pytestmark = pytest.mark.slow

AWAY_S = 30
CAMERA = "sam-pt-live/cameras/camera/"
ZONES = "zones.polygons={left: {points: [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], inside: any}}"


def test_a_broker_and_a_receiver_that_were_away_for_half_a_minute_are_told_all(start, tmp_path):
    with start_mosquitto(tmp_path) as broker, start_receiver() as receiver:
        run = start(
            *LOOP, "--set", "capture.demo_size=160x96", "--set", "capture.demo_fps=10", "--mqtt", broker.url,
            "--webhook", receiver.url, "--set", f"webhooks.secret={SECRET}", "--set", ZONES,
            "--set", "webhooks.backoff_max_s=2",
        )  # fmt: skip
        until(lambda: receiver.taken, "an event")
        until(lambda: run.ctl("stats")["mqtt"]["connected"], "the broker")
        with watch(broker) as watcher:
            missed = at_rest(run, watcher, receiver)  # counted before the receiver's node had subscribed
        run.ctl("resume")

        broker.stop()
        receiver.stop()
        published = run.ctl("stats")["masks_published"]
        ends_s = time.monotonic() + AWAY_S
        until(lambda: time.monotonic() > ends_s, "half a minute")
        stats = run.ctl("stats")
        assert stats["masks_published"] > published + AWAY_S  # the feed went on
        assert not stats["mqtt"]["connected"]
        assert stats["webhooks"]["waiting"] > 0

        receiver.start()
        broker.start()
        began_s = time.monotonic()
        with watch(broker) as watcher:
            until(lambda: watcher.retained.get(CAMERA + "availability") == b"online", "the camera")
            print(f"the broker knows of the camera {time.monotonic() - began_s:.1f} s after it was back")
            run_topic = "sam-pt-live/runs/camera/availability"
            until(lambda: watcher.retained.get(run_topic) == b"online", "the run")  # kept ones come in any order
            until(lambda: CAMERA + "state" in watcher.retained, "the state")
            assert json.loads(watcher.retained[CAMERA + "state"])["state"] == "running"
            until(lambda: CAMERA + "counts" in watcher.retained, "the counts")
            until(lambda: run.ctl("stats")["webhooks"]["waiting"] == 0, "what waited")
            assert at_rest(run, watcher, receiver) == missed
        stats = run.ctl("stats")["webhooks"]
        assert (stats["dropped"], stats["dead_letters"], receiver.forged) == (0, 0, 0)
        places = [(int(name.split("-")[-2]), int(name.split("-")[-1])) for name in dict.fromkeys(receiver.ids)]
        assert places == sorted(places)  # in order: by the number of the message, then within it


def at_rest(run, watcher, receiver):
    """How many more have entered than the receiver knows of, while nothing moves."""
    run.ctl("pause")
    until(lambda: CAMERA + "counts" in watcher.retained, "the counts")
    settled_s = time.monotonic() + 3
    until(lambda: time.monotonic() > settled_s and not run.ctl("stats")["webhooks"]["waiting"], "rest")
    entered = json.loads(watcher.retained[CAMERA + "counts"])["zones"]["left"]["entered"]
    return entered - len({body["id"] for body in receiver.taken if body["event"]["kind"] == "enter"})
