"""What Home Assistant is told of a camera fits its documented schema, whatever zones are called."""

from __future__ import annotations

import json

import pytest
from integrations.home_assistant_schema import faults

from nodes.mqtt.home_assistant import KINDS, STATES, discovery
from nodes.mqtt.names import Names, identifier
from stream.public_wire.events import Kind
from stream.settings.integrations import EventKind

NAMES = Names("sam-pt-live/yard", "door", "homeassistant")


@pytest.mark.parametrize("camera", ["door", "door.2", "a_b", "A-1"])
@pytest.mark.parametrize(
    ("zones", "lines", "gone"),
    [((), (), ()), (("yard", "back yard", "back.yard"), ("gate", "gate 2"), ("zone_bench", "line_old_to_left"))],
)
def test_a_device_fits_the_documented_schema(camera, zones, lines, gone):
    payload = json.loads(json.dumps(discovery(NAMES, camera, zones, lines, gone, snapshot=True)))
    assert faults(NAMES.discovery_topic(camera), payload) == []
    platforms = [c["platform"] for c in payload["components"].values()]
    assert platforms.count("image") == platforms.count("event") == 1
    assert platforms.count("sensor") == 4 + len(zones) + 2 * len(lines) + len(gone)


def test_the_schema_of_the_tests_refuses_what_home_assistant_would():
    payload = discovery(NAMES, "door", ("yard",), (), (), snapshot=False)
    payload["components"]["fps"]["valeu_template"] = payload["components"]["fps"].pop("value_template")
    payload["components"]["age"]["unit_of_measurement"] = "frames"
    del payload["components"]["zone_yard"]["state_topic"]
    payload["components"]["state"]["unique_id"] = payload["components"]["events"]["unique_id"]
    del payload["origin"]["name"]
    payload["availability_mode"] = "some"
    found = faults("homeassistant/device/a b/config", payload)
    for part in ("topic", "valeu", "unit of time", "zone_yard: no state_topic", "twice", "origin", "availability_mode"):
        assert any(part in fault for fault in found), (part, found)


def test_names_that_look_alike_give_ids_of_their_own():
    names = ["back yard", "back.yard", "back_yard", "back-yard"]
    ids = [identifier(name) for name in names]
    assert len(set(ids)) == 4
    assert ids[2:] == names[2:]


def test_states_and_kinds_are_those_of_the_wire():
    assert set(KINDS) == set(Kind.__args__) == set(EventKind.__args__)
    assert set(STATES) >= {"starting", "running", "degraded", "interrupted", "paused", "ended", "failed"}
