"""Events messages in, what a receiver is sent for each event out: a body of JSON, an id, a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from stream.public_wire.events import EventsHeader

VERSION = 1


@dataclass(frozen=True)
class Letter:
    """One event for one receiver."""

    id: str  # the same for each attempt, so that a receiver can tell a repetition
    body: bytes


def letters_of(header: EventsHeader, kinds: Collection[str]) -> list[Letter]:
    """A letter for each event of a message whose kind is among `kinds`; empty: for all."""
    frame = {
        "version": VERSION,
        "camera": header.camera,
        "session": header.session,
        "frame_id": header.frame_id,
        "captured_unix_ns": header.captured_unix_ns,
        "pts": header.pts_s,
        "width": header.width,
        "height": header.height,
    }
    found = []
    for index, event in enumerate(header.events):
        if not kinds or event.kind in kinds:
            name = f"{header.camera}-{header.publisher}-{header.sequence}-{index}"
            body = msgspec.json.encode({"id": name, **frame, "event": msgspec.to_builtins(event)})
            found.append(Letter(name, body))
    return found


def signed_headers(letter: Letter, key: bytes, unix_s: int) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over id, time and body, so that none can be forged or replayed."""
    signed = f"{letter.id}.{unix_s}.".encode() + letter.body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "SAM-PT-Live",
        "webhook-id": letter.id,
        "webhook-timestamp": str(unix_s),
        "webhook-signature": f"v1,{signature}",
    }
