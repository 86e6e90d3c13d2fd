"""What a key of the config takes, in the words of an error: a few words, a number, a form."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from stream.settings.config import Config, Section


def type_of(dotted: str) -> Any:
    """The declared type of a key such as `tracker.emit`; None where there is no such key."""
    kind: Any = Config
    words = dotted.split(".")
    if words[0] == "cameras":  # the last two of cameras.NAME.SECTION.KEY
        words = words[-2:] if len(words) > 3 else words
    for key in words:
        if not (isinstance(kind, type) and issubclass(kind, Section)):
            return None
        kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(key)
    return kind


def words_of(kind: Any) -> tuple[str, ...]:
    """The words that a value of this type may be; none where it takes no words."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if get_origin(kind) is tuple:  # words in a list are no value themselves
        return ()
    return tuple(word for part in get_args(kind) for word in words_of(part))


def needed(kind: Any) -> str:
    """What a value of this type has to be: `auto, off or a number above 0`, `a whole number from 1 to 100`."""
    *most, last = [*words_of(kind), *_beside_words(kind)]
    return f"{', '.join(most)} or {last}" if most else last


def _beside_words(kind: Any) -> list[str]:
    """What a value of this type may be that is no word of a few."""
    origin = get_origin(kind)
    if kind is bool:
        return ["true", "false"]
    if origin is Literal:
        return []
    if origin is Annotated:
        number, *limits = get_args(kind)
        described = [limit.description for limit in limits if limit.description]
        return described or [_number(number, limits)]
    if origin in (Union, UnionType):
        return [text for part in get_args(kind) for text in _beside_words(part)]
    if origin is tuple:
        words = words_of(get_args(kind)[0])
        return [f"a list out of {', '.join(words)}" if words else "a list of texts, such as [a, b]"]
    if origin is dict:
        numbers = get_args(kind)[1] is float
        return ["names with numbers, such as {a: 1}" if numbers else "names with texts, such as {a: b}"]
    return ["text"] if kind is str else [_number(kind, [])]


def _number(kind: Any, limits: list[msgspec.Meta]) -> str:
    """A number within its limits, in words."""
    words = "a whole number" if kind is int else "a number"
    least, most = (
        next((getattr(x, name) for x in limits if getattr(x, name) is not None), None) for name in ("ge", "le")
    )
    above, below = (
        next((getattr(x, name) for x in limits if getattr(x, name) is not None), None) for name in ("gt", "lt")
    )
    factor = next((x.multiple_of for x in limits if x.multiple_of is not None), None)
    if least is not None and most is not None:
        words += f" from {least:g} to {most:g}"
    elif least is not None:
        words += f" from {least:g} to below {below:g}" if below is not None else f" of {least:g} or more"
    elif above is not None:
        words += f" above {above:g}"
    return f"{words} that is a multiple of {factor:g}" if factor is not None else words
