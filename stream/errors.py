"""The exceptions of the project, each with the exit code that it ends a run with.

    StreamError                      1   failed while running
    |-- ConfigError (ValueError)     2   an argument or a config value is wrong
    |   `-- PromptError              2   a prompt does not fit the frame (outside, inverted, another size)
    |-- SourceError (OSError)        3   a source, device or checkpoint could not be opened
    |   `-- CheckpointError          3
    |-- MessageError (ValueError)    1   bytes off the wire that are no message of ours
    |-- ModelError (RuntimeError)    1   a model has no answer for a frame (NaN, out of memory): passed over, counted
    |-- ControlError (ValueError)    1   a control request that can't be served; `code` names the reason
    `-- NodeError (RuntimeError)     1   a node died more often than it may

Every message says what came, what is needed and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StreamError(Exception):
    """The base of all errors that this project raises on purpose."""

    exit_code = 1


class ConfigError(StreamError, ValueError):
    """An argument or a config value is wrong."""

    exit_code = 2


class PromptError(ConfigError):
    """A prompt does not fit the frame it is given for."""


class SourceError(StreamError, OSError):
    """A source or a device could not be opened, or broke."""

    exit_code = 3


class CheckpointError(SourceError):
    """A checkpoint is missing or is not what it should be."""


class MessageError(StreamError, ValueError):
    """Bytes off the wire that are no message of ours; counted and dropped where they arrive."""


class ModelError(StreamError, RuntimeError):
    """A model has no answer for a frame: numbers that are none, or no memory left; the feed goes on without it."""


class ControlError(StreamError, ValueError):
    """A control request that can't be served; `code` is the machine-readable reason (docs/protocol.md)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NodeError(StreamError, RuntimeError):
    """A node died more often than the supervisor may restart it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The sentence that suggests the known name closest to `name`, or the list of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names) or 'none'}"
