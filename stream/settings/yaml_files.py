"""Text in YAML in, plain values out; a key that stands twice is refused, where YAML itself lets the last one count."""

from __future__ import annotations

from typing import Any

import yaml

from stream.errors import ConfigError


def read_yaml(text: str, where: str) -> tuple[Any, Any]:
    """(values, the same as they are written) of a text; ConfigError, which begins with `where`, for what is no YAML."""
    try:
        return _load(text, _Values), _load(text, _AsWritten)
    except _TwiceError as error:
        raise ConfigError(f"{where}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{where}: no YAML{f' at line {mark.line + 1}' if mark else ''}") from None


class _TwiceError(ValueError):
    """A key stands twice in one mapping."""


class _Values(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Numbers, booleans and dates are such."""


class _AsWritten(yaml.BaseLoader):  # type: ignore[misc]
    """All is text."""


def _mapping(loader: Any, node: yaml.MappingNode) -> Any:
    """A mapping without a key that stands twice."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines and key.tag != "tag:yaml.org,2002:merge":
            raise _TwiceError(f"{name!r} stands at line {lines[name]} and again at line {line}; leave one out")
        lines[name] = line
    if hasattr(loader, "flatten_mapping"):
        loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


def _load(text: str, loader: Any) -> Any:
    return yaml.load(text, loader)


for _loader in (_Values, _AsWritten):
    _loader.add_constructor("tag:yaml.org,2002:map", _mapping)
