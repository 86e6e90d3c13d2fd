"""What goes to other systems: an MQTT broker, webhooks, an RTSP server; ConfigError for an address that is none."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Meta

from stream.errors import ConfigError
from stream.settings.secrets import redact, remember, remember_secret
from stream.settings.section import Section

EventKind = Literal["appeared", "lost", "reacquired", "removed", "state", "enter", "leave", "dwell", "crossing"]

SHORTEST_SECRET = 16  # characters
LONG_PATH = 16  # characters: a webhook's path of that length may be its secret
WHSEC = "whsec_"  # begins a secret that is written in base64
PORTS = {"mqtt": 1883, "mqtts": 8883}


class Mqtt(Section, frozen=True):
    """To an MQTT broker (docs/integrations.md)."""

    url: str = ""  # mqtt://USER:PASSWORD@HOST:1883, or mqtts:// for TLS (port 8883); empty: off
    # what all topics begin with
    prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64}){0,7}$",
            description="letters, digits and . _ -, with / between its levels",
        ),
    ] = "sam-pt-live"
    # the run's name in topics; empty: the camera's, or `cameras` where there are several
    run: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$", description="up to 64 characters out of A-Z a-z 0-9 . _ -")
    ] = ""
    # Home Assistant's own prefix for what it is to discover; empty: it is told nothing
    discovery: Annotated[
        str, Meta(pattern=r"^([A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64}){0,3})?$", description="a topic, or nothing")
    ] = "homeassistant"
    state_s: Annotated[float, Meta(gt=0)] = 5.0  # how often the rate and the age of a camera are told
    snapshot_s: Annotated[float, Meta(ge=0)] = 0.0  # how often a picture with its masks is published; 0: never
    ca: str = ""  # file of the authority that signed the broker's certificate (PEM); empty: those of the system
    certificate: str = ""  # our own for the broker (PEM); with `key`
    key: str = ""  # PEM


class Webhooks(Section, frozen=True):
    """Events as HTTP requests (docs/integrations.md)."""

    urls: tuple[str, ...] = ()  # http(s)://...; each gets every event
    secret: str = ""  # signs each request: 16 characters or more, or `whsec_` and base64 of 16 bytes or more
    kinds: tuple[EventKind, ...] = ()  # of the events that are sent; empty: all
    queue: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000  # events that wait for a receiver; the oldest gives way
    timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0  # for a receiver to connect, and to answer
    max_attempts: Annotated[int, Meta(ge=1)] = 20  # for an event that the receiver answers with an error
    backoff_s: Annotated[float, Meta(gt=0)] = 0.5  # doubles up to backoff_max_s
    backoff_max_s: Annotated[float, Meta(gt=0)] = 60.0


def check_mqtt(own: Mqtt) -> None:
    """Refuse an address that is none; its credentials are hidden from now on."""
    remember(own.url)
    if bool(own.certificate) != bool(own.key):
        missing, given = ("mqtt.key", "mqtt.certificate") if own.certificate else ("mqtt.certificate", "mqtt.key")
        raise ConfigError(f"{missing} is not set, {given} is; a certificate needs both")
    if not own.url:
        return
    parts = _address("--mqtt (mqtt.url)", own.url, tuple(PORTS), "mqtt://HOST, for example mqtt://127.0.0.1:1883")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ConfigError(f"--mqtt (mqtt.url) is {redact(own.url)!r}; needs nothing behind HOST:PORT")
    if parts.scheme == "mqtt" and (own.ca or own.certificate):
        raise ConfigError("mqtt.ca and mqtt.certificate are for TLS; give mqtts:// in mqtt.url")


def check_webhooks(own: Webhooks) -> None:
    """Refuse an address that is none, and events without a signature; the secret is hidden from now on."""
    if own.secret:
        remember_secret(own.secret)
    for url in own.urls:
        remember(url)
        parts = _address("--webhook (webhooks.urls)", url, ("http", "https"), "https://HOST/PATH")
        if len(target := url.partition(parts.netloc)[2]) >= LONG_PATH:
            remember_secret(target)
    if not own.urls:
        return
    if not own.secret:
        raise ConfigError(
            "webhooks.secret is not set; receivers tell our requests by its signature: give 16 characters or more, "
            "best as ${file:PATH}"
        )
    key_of(own.secret)
    if own.backoff_max_s < own.backoff_s:
        raise ConfigError(
            f"webhooks.backoff_max_s is {own.backoff_max_s}; needs webhooks.backoff_s ({own.backoff_s}) or more"
        )


def key_of(secret: str) -> bytes:
    """The key that a secret stands for; ConfigError where it is too short to be one."""
    if not secret.startswith(WHSEC):
        key, needed = secret.encode(), f"{SHORTEST_SECRET} characters"
    else:
        needed = f"{WHSEC} and base64 of {SHORTEST_SECRET} bytes"
        try:
            key = base64.b64decode(secret.removeprefix(WHSEC), validate=True)
        except binascii.Error:
            raise ConfigError(f"webhooks.secret is no base64 behind {WHSEC}; needs {needed} or more") from None
    if len(key) < SHORTEST_SECRET:
        raise ConfigError(f"webhooks.secret is too short ({len(key)}); needs {needed} or more")
    return key


def check_rtsp_push(url: str) -> None:
    """Refuse an address that pictures can't be pushed to; its credentials are hidden from now on."""
    remember(url)
    if url:
        parts = _address("--rtsp-push (renderer.rtsp_push)", url, ("rtsp",), "rtsp://HOST:PORT/PATH")
        if parts.path in ("", "/"):
            raise ConfigError(
                f"--rtsp-push (renderer.rtsp_push) is {redact(url)!r}; needs a path, as in rtsp://HOST:8554/live"
            )


def check_mqtt_files(mqtt: Mqtt) -> None:
    """Refuse files that are not there, before anything is started."""
    for key in ("ca", "certificate", "key"):
        path = getattr(mqtt, key)
        if path and not Path(path).is_file():
            raise ConfigError(f"mqtt.{key} is {path!r}: no such file")


def check_mqtt_packages() -> None:
    """Refuse to start where the package is missing that only MQTT needs."""
    if importlib.util.find_spec("aiomqtt") is None:
        raise ConfigError("--mqtt needs aiomqtt; pip install -r requirements-mqtt.txt -c constraints.txt")


def broker_of(own: Mqtt) -> tuple[str, int, str | None, str | None]:
    """(host, port, user, password) of a checked `mqtt.url`."""
    parts = urlsplit(own.url)
    host = parts.hostname or ""
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return host, parts.port or PORTS[parts.scheme], user, password


def _address(key: str, url: str, schemes: tuple[str, ...], needed: str) -> SplitResult:
    """The parts of an address; ConfigError where it is none."""
    shown = redact(url)
    if not url.isascii() or re.search(r"[\s\x00-\x1f]", url):
        raise ConfigError(f"{key} is {shown!r}; needs spaces and letters beyond ASCII written with %, as %20")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(
            f"{key} is {shown!r}; its port or host can't be read; needs # ? / @ : of a password written with %"
        ) from None
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise ConfigError(f"{key} is {shown!r}; needs {needed}")
    return parts
