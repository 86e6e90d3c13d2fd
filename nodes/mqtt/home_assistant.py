"""What Home Assistant is told of a camera: one device with its entities, in one discovery message.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload; the tests hold the schema of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nodes.mqtt.names import Names, identifier

STATES = ["starting", "running", "degraded", "interrupted", "paused", "ended", "failed"]
KINDS = ["appeared", "lost", "reacquired", "removed", "state", "enter", "leave", "dwell", "crossing"]
DIRECTIONS = {"to_right": "to the right", "to_left": "to the left"}

Component = dict[str, Any]


def discovery(
    names: Names, camera: str, zones: Collection[str], lines: Collection[str], gone: Collection[str], *, snapshot: bool
) -> dict[str, Any]:
    """The payload for a camera with these zones and lines; `gone`: ids of components that are no more."""
    device, run = names.device_id(camera), {"topic": names.run_availability}
    components = components_of(names, camera, zones, lines, snapshot=snapshot)
    for name, component in components.items():
        component["unique_id"] = f"{device}_{name}"
    components |= {name: {"platform": "sensor"} for name in gone if name not in components}
    return {
        "device": {
            "identifiers": [device],
            "name": camera,
            "manufacturer": "SAM-PT Live",
            "model": "camera with tracked objects",
        },
        "origin": {"name": "SAM-PT Live"},
        "availability": [run, {"topic": names.of(camera, "availability")}],
        "availability_mode": "all",
        "components": components,
    }


def components_of(
    names: Names, camera: str, zones: Collection[str], lines: Collection[str], *, snapshot: bool
) -> dict[str, Component]:
    """The entities of a camera by their ids."""
    state = names.of(camera, "state")
    measured = {"platform": "sensor", "state_topic": state, "state_class": "measurement"}
    components: dict[str, Component] = {
        "state": {
            "platform": "sensor",
            "name": "State",
            "state_topic": state,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": state,
            "json_attributes_template": "{{ {'reason': value_json.reason} | tojson }}",
            "device_class": "enum",
            "options": STATES,
            # there also while the camera is away: it says why
            "availability": [{"topic": names.run_availability}],
        },
        "objects": {**measured, "name": "Objects", "value_template": "{{ value_json.objects }}"},
        "fps": {
            **measured,
            "name": "Frame rate",
            "value_template": "{{ value_json.fps }}",
            "unit_of_measurement": "frames/s",
            "suggested_display_precision": 1,
            "entity_category": "diagnostic",
        },
        "age": {
            **measured,
            "name": "Age of masks",
            "value_template": "{{ value_json.age_ms }}",
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "suggested_display_precision": 0,
            "entity_category": "diagnostic",
        },
        "events": {
            "platform": "event",
            "name": "Events",
            "state_topic": names.of(camera, "events"),
            "event_types": KINDS,
        },
    }
    counts = names.of(camera, "counts")
    for zone in zones:
        components[f"zone_{identifier(zone)}"] = {
            "platform": "sensor",
            "name": f"Objects in {zone}",
            "state_topic": counts,
            "value_template": f"{{{{ value_json.zones['{zone}'].count }}}}",
            "json_attributes_topic": counts,
            "json_attributes_template": f"{{{{ value_json.zones['{zone}'] | tojson }}}}",
            "state_class": "measurement",
        }
    for line in lines:
        for key, words in DIRECTIONS.items():
            components[f"line_{identifier(line)}_{key}"] = {
                "platform": "sensor",
                "name": f"{line} {words}",
                "state_topic": counts,
                "value_template": f"{{{{ value_json.lines['{line}'].{key} }}}}",
                "state_class": "total_increasing",
            }
    if snapshot:
        components["snapshot"] = {
            "platform": "image",
            "name": "Snapshot",
            "image_topic": names.of(camera, "snapshot"),
            "content_type": "image/jpeg",
        }
    return components
