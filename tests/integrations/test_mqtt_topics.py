"""What the broker is told of what the publishers say, without a broker."""

from __future__ import annotations

import json

from integrations.home_assistant_schema import faults
from integrations.wire_events import enter, events, status

from nodes.mqtt.names import Names, names_of
from nodes.mqtt.outbox import KEEP_S, MOST_EVENTS, Outbox, Publication
from nodes.mqtt.run_topics import RunTopics
from stream.settings.presets import build, load

NAMES = Names("sam", "house", "homeassistant")
ONLINE = Publication("sam/cameras/door/availability", b"online", retain=True)
OFFLINE = Publication("sam/cameras/door/availability", b"offline", retain=True)


class Told:
    """The core of a run, and what it leaves for the broker."""

    def __init__(self, *cameras):
        self.now_s = 100.0
        self.outbox = Outbox(lambda: self.now_s)
        self.topics = RunTopics(NAMES, self.outbox, 5.0, snapshot=False)
        self.topics.set_cameras(cameras or ("door",))

    def hear(self, parts):
        self.topics.take(parts, self.now_s)

    def sent(self):
        """What waits by now, as a broker takes it."""
        found = []
        while batch := self.outbox.take(8):
            found += batch
            for publication in batch:
                self.outbox.sent(publication, arrived=True)
        return found

    def payloads(self):
        """The JSON of what waits by now, by the last word of its topic."""
        return {p.topic.rpartition("/")[2]: json.loads(p.payload) for p in self.sent() if p.payload[:1] == b"{"}


def test_a_status_tells_state_rate_and_age_and_that_the_camera_is_there():
    told = Told()
    told.hear(status())
    sent = told.sent()
    assert sent[-1] == ONLINE  # last: who waits for it finds the rest there
    state = next(json.loads(p.payload) for p in sent if p.topic == "sam/cameras/door/state")
    assert (state["state"], state["fps"], state["age_ms"], state["frame_age_s"]) == ("running", 24.9, 31.5, 0.04)
    assert (state["objects"], state["object_states"]) == (2, {"lost": 1, "tracked": 1})
    (discovery,) = [p for p in sent if p.topic.startswith("homeassistant/")]
    assert faults(discovery.topic, json.loads(discovery.payload)) == []
    assert all(p.retain for p in sent)


def test_rates_are_told_now_and_then_and_what_changes_at_once():
    told = Told()
    told.hear(status())
    told.sent()
    told.now_s += 1
    told.hear(status(recent={"published_hz": 12.0}))
    assert told.sent() == []
    told.now_s += 1
    told.hear(status(state="degraded", reason="black"))
    assert told.payloads()["state"]["reason"] == "black"
    told.now_s += 5
    told.hear(status(recent={"published_hz": 12.0}))
    assert told.payloads()["state"]["fps"] == 12.0


def test_a_camera_is_away_while_its_source_is_lost_or_nobody_speaks_for_it():
    told = Told()
    told.hear(status())
    assert ONLINE in told.sent()
    told.hear(status(state="interrupted", reason="source_lost"))
    assert OFFLINE in told.sent()
    told.hear(status())
    assert ONLINE in told.sent()
    told.now_s += 5.1
    told.topics.tick(told.now_s)
    assert OFFLINE in told.sent()


def test_counts_are_kept_and_events_are_not():
    told = Told()
    told.hear(events(enter(), zones={"yard": ([1], 1, 0)}, lines={"gate": (2, 3)}))
    sent = told.sent()
    event = next(p for p in sent if p.topic == "sam/cameras/door/events")
    assert not event.retain
    payload = json.loads(event.payload)
    assert (payload["event_type"], payload["zone"], payload["object"], payload["label"]) == ("enter", "yard", 1, "van")
    assert payload["captured_unix_s"] == 1_800_000_000.123
    counts = next(json.loads(p.payload) for p in sent if p.topic == "sam/cameras/door/counts")
    assert counts == {
        "zones": {"yard": {"count": 1, "inside": [1], "entered": 1, "left": 0}},
        "lines": {"gate": {"to_right": 2, "to_left": 3}},
    }
    told.hear(events(zones={"yard": ([1], 1, 0)}, lines={"gate": (2, 3)}))
    assert told.sent() == []  # nothing has changed


def test_home_assistant_hears_of_zones_that_come_and_go():
    told = Told()
    told.hear(events(zones={"yard": ([], 0, 0)}))
    assert "zone_yard" in told.payloads()["config"]["components"]
    told.hear(events(zones={"bench": ([], 0, 0)}))
    components = told.payloads()["config"]["components"]
    assert components["zone_yard"] == {"platform": "sensor"}  # which takes it away
    assert "state_topic" in components["zone_bench"]


def test_a_camera_that_is_removed_leaves_nothing_behind():
    told = Told("door", "hall")
    told.hear(status("door"))
    told.hear(status("hall"))
    kept = {p.topic for p in told.sent() if "hall" in p.topic}
    told.topics.set_cameras(["door"])
    gone = {p.topic for p in told.sent() if p.payload == b""}
    assert kept <= gone
    told.outbox.begin()
    assert not any("hall" in p.topic for p in told.sent())
    told.hear(status("hall"))  # its last word
    assert told.sent() == []


def test_what_is_no_message_is_counted():
    told = Told()
    for parts in ([b"status/door", b"{"], [b"events/door", b"[]"], [b"status/hall", status("door")[1]]):
        told.hear(parts)
    assert told.topics.malformed == 3


def test_a_new_connection_gets_all_that_is_kept_and_no_event_that_is_old():
    told = Told()
    told.hear(status())
    told.hear(events(enter(), zones={"yard": ([1], 1, 0)}))
    first = told.sent()
    told.hear(events(enter(2), sequence=1, zones={"yard": ([1, 2], 2, 0)}))
    told.now_s += KEEP_S + 0.1
    told.hear(events(enter(3), sequence=2, zones={"yard": ([1, 2, 3], 3, 0)}))
    told.outbox.begin()
    again = told.sent()
    assert {p.topic for p in again} == {p.topic for p in first}
    counts = next(p for p in again if p.topic.endswith("/counts"))
    assert json.loads(counts.payload)["zones"]["yard"]["entered"] == 3
    assert [json.loads(p.payload)["count"] for p in again if p.topic.endswith("/events")] == [3]
    assert told.outbox.dropped == 1


def test_events_that_pile_up_give_way_and_are_counted():
    told = Told()
    for i in range(MOST_EVENTS + 7):
        told.outbox.send("sam/cameras/door/events", str(i).encode())
    sent = [p for p in told.sent() if not p.retain]
    assert (len(sent), told.outbox.dropped) == (MOST_EVENTS, 7)
    assert sent[0].payload == b"7"


def test_the_run_is_called_after_its_camera_or_as_the_config_says():
    assert names_of(load("lite", {"capture.camera": "door"})).run_availability == "sam-pt-live/runs/door/availability"
    fleet = build({"cameras": {"a": {}, "b": {}}})
    assert names_of(fleet).run == "cameras"
    assert names_of(load("lite", {"mqtt.run": "barn"})).run == "barn"
    assert names_of(fleet).client_id != names_of(load("lite")).client_id
    assert len(names_of(fleet).client_id) <= 23
