"""Home Assistant's documented schema of a device discovery message, as far as we use its platforms.

Keys and their kinds from https://www.home-assistant.io/integrations/ : mqtt (device discovery payload), sensor.mqtt,
event.mqtt, image.mqtt; device classes, their units and state classes from its sensor integration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def topic(value: Any) -> bool:
    return text(value) and "\0" not in value and len(value.encode()) <= 65535 and not set(value) & set("+#")


def template(value: Any) -> bool:
    return text(value) and value.count("{{") == value.count("}}") == 1


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(text(v) for v in value) and len(set(value)) == len(value)


def one_of(*words: str) -> Check:
    return lambda value: value in words


def availability(value: Any) -> bool:
    keys = {"topic", "payload_available", "payload_not_available", "value_template"}
    return isinstance(value, list) and all(set(v) <= keys and topic(v.get("topic")) for v in value)


AVAILABILITY: dict[str, Check] = {
    "availability": availability,
    "availability_mode": one_of("all", "any", "latest"),
    "availability_topic": topic,
    "availability_template": template,
    "payload_available": text,
    "payload_not_available": text,
}
SHARED: dict[str, Check] = {
    "enabled_by_default": flag,
    "encoding": text,
    "entity_category": one_of("diagnostic", "config"),
    "entity_picture": text,
    "icon": text,
    "json_attributes_template": template,
    "json_attributes_topic": topic,
    "name": text,
    "default_entity_id": text,
    "platform": text,
    "qos": one_of(0, 1, 2),  # type: ignore[arg-type]
    "unique_id": text,
    **AVAILABILITY,
}
PLATFORMS: dict[str, tuple[set[str], dict[str, Check]]] = {  # -> required, all
    "sensor": (
        {"state_topic"},
        {
            **SHARED,
            "device_class": one_of("enum", "duration"),  # of many, those that are used here
            "expire_after": whole,
            "force_update": flag,
            "last_reset_value_template": template,
            "options": texts,
            "state_class": one_of("measurement", "measurement_angle", "total", "total_increasing"),
            "state_topic": topic,
            "suggested_display_precision": whole,
            "unit_of_measurement": text,
            "value_template": template,
        },
    ),
    "event": (
        {"state_topic", "event_types"},
        {
            **SHARED,
            "device_class": one_of("button", "doorbell", "motion"),
            "event_types": texts,
            "state_topic": topic,
            "value_template": template,
        },
    ),
    "image": (
        set(),
        {
            **SHARED,
            "content_type": text,
            "image_encoding": one_of("b64"),
            "image_topic": topic,
            "url_template": template,
            "url_topic": topic,
        },
    ),
}
DEVICE: dict[str, Check] = {
    "configuration_url": text,
    "connections": lambda value: isinstance(value, list),
    "hw_version": text,
    "identifiers": lambda value: text(value) or texts(value),
    "manufacturer": text,
    "model": text,
    "model_id": text,
    "name": text,
    "serial_number": text,
    "suggested_area": text,
    "sw_version": text,
    "via_device": text,
}
ORIGIN: dict[str, Check] = {"name": text, "sw_version": text, "support_url": text}
ROOT: dict[str, Check] = {
    "device": lambda value: bool(value.get("identifiers") or value.get("connections")),
    "origin": lambda value: "name" in value,
    "components": lambda value: isinstance(value, dict) and bool(value),
    "state_topic": topic,
    "command_topic": topic,
    "qos": whole,
    "encoding": text,
    **AVAILABILITY,
}
DURATIONS = ("d", "h", "min", "s", "ms", "µs")


def faults(discovery_topic: str, payload: dict[str, Any]) -> list[str]:
    """What Home Assistant would refuse of a device's discovery message; empty: nothing."""
    found = []
    if not re.fullmatch(r"[\w./-]+/device/[a-zA-Z0-9_-]+/config", discovery_topic):
        found.append(f"topic {discovery_topic}")
    found += [f"no {key}" for key in ("device", "origin", "components") if key not in payload]
    found += wrong("", payload, ROOT) + wrong("device.", payload["device"], DEVICE)
    found += wrong("origin.", payload["origin"], ORIGIN)
    for name, component in payload["components"].items():
        found += component_faults(name, component)
    ids = [c["unique_id"] for c in payload["components"].values() if "unique_id" in c]
    if len(set(ids)) != len(ids):
        found.append("a unique_id stands twice")
    return found


def component_faults(name: str, component: dict[str, Any]) -> list[str]:
    platform = component.get("platform")
    if platform not in PLATFORMS:
        return [f"{name}: platform {platform}"]
    if set(component) == {"platform"}:  # it is to be removed
        return []
    required, keys = PLATFORMS[platform]
    found = wrong(f"{name}.", component, keys)
    found += [f"{name}: no {key}" for key in ("unique_id", *sorted(required)) if key not in component]
    if "availability" in component and "availability_topic" in component:
        found.append(f"{name}: availability and availability_topic")
    if ("options" in component) != (component.get("device_class") == "enum"):
        found.append(f"{name}: options go with the device class enum")
    if component.get("device_class") == "enum" and {"state_class", "unit_of_measurement"} & set(component):
        found.append(f"{name}: an enum has neither unit nor state class")
    if component.get("device_class") == "duration" and component.get("unit_of_measurement") not in DURATIONS:
        found.append(f"{name}: a duration needs a unit of time")
    if platform == "image" and ("image_topic" in component) == ("url_topic" in component):
        found.append(f"{name}: one of image_topic and url_topic")
    return found


def wrong(where: str, values: dict[str, Any], keys: dict[str, Check]) -> list[str]:
    return [f"{where}{key}: {value!r}" for key, value in values.items() if key not in keys or not keys[key](value)]
