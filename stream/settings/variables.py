"""`${NAME}` and `${file:PATH}` in the text of a config, replaced by an environment variable or the content of a file.

So that a password need not stand in a config or on a command line. Inside an address (`rtsp://user:${DOOR}@host/`) the
value is written as an address wants it: characters such as # ? / @ as %23 %3F %2F %40.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stream.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(file:)?([^{}]+)\}")
MAX_FILE_BYTES = 65536


def fill_in(tree: Any, key: str = "") -> Any:
    """The tree of plain values with every variable in its texts replaced; ConfigError for one that is not there."""
    if isinstance(tree, dict):
        return {name: fill_in(value, f"{key}.{name}".lstrip(".")) for name, value in tree.items()}
    if isinstance(tree, list):
        return [fill_in(value, key) for value in tree]
    if not isinstance(tree, str) or "${" not in tree:
        return tree
    in_address = "://" in tree

    def value(match: re.Match[str]) -> str:
        found = _file(match[2], key) if match[1] else _environment(match[2], key)
        return quote(found, safe="") if in_address else found

    return _VARIABLE.sub(value, tree)


def _environment(name: str, key: str) -> str:
    if name not in os.environ:
        raise ConfigError(f"{key}: the environment variable {name} is not set; set it, or write ${{file:PATH}}")
    return os.environ[name]


def _file(name: str, key: str) -> str:
    """The first line of a file, without its end."""
    try:
        with Path(name).expanduser().open(encoding="utf-8") as file:
            return file.read(MAX_FILE_BYTES).split("\n")[0].rstrip("\r")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigError(f"{key}: the file {name} can't be read ({reason}); ${{file:PATH}} needs one") from None
