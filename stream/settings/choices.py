"""What a key of the config takes, in the words of an error: a few words, a number, a form."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import msgspec

from stream.settings.config import Config, Section


def type_of(dotted: str) -> Any:
    """The declared type of a key such as `tracker.emit`; None where there is no such key."""
    kind: Any = Config
    for key in dotted.split("."):
        if not (isinstance(kind, type) and issubclass(kind, Section)):
            return None
        kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(key)
    return kind


def words_of(kind: Any) -> tuple[str, ...]:
    """The words that a value of this type may be; none where it takes no words."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(word for part in get_args(kind) for word in words_of(part))


def needed(kind: Any) -> str:
    """What a value of this type has to be: `auto, off or a number above 0`; empty where msgspec says it well enough."""
    described = [part.description for part in get_args(kind) if isinstance(part, msgspec.Meta) and part.description]
    if described or not words_of(kind):
        return "".join(described)
    *most, last = [*words_of(kind), *(text for part in get_args(kind) for text in _others(part))]
    return f"{', '.join(most)} or {last}" if most else last


def _others(kind: Any) -> list[str]:
    """What the part of a union takes that is no word."""
    if kind is bool:
        return ["true", "false"]
    if kind in (int, float):
        return ["a number"]
    number, *limits = get_args(kind) or (None,)
    if number not in (int, float):
        return []
    above = [limit.gt for limit in limits if limit.gt is not None]
    return [f"a number above {max(above):g}" if above else "a number"]
