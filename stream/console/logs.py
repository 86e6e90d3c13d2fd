"""Log lines: readable text or JSON, without the passwords of addresses."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from stream.settings.config import Log
from stream.settings.secrets import redact

_camera: ContextVar[str] = ContextVar("camera", default="")  # whose events are being handled, of several


@contextmanager
def about_camera(name: str) -> Iterator[None]:
    """What is logged inside is about that camera ("": about none)."""
    token = _camera.set(name)
    try:
        yield
    finally:
        _camera.reset(token)


class TextLines(logging.Formatter):
    """`12:34:56 warning decoder: 71 ms a frame`."""

    def __init__(self, process: str, nodes: Collection[str] = ()) -> None:
        """`nodes`: those that run in threads of the process, each named after its node (or NODE-something)."""
        super().__init__()
        self._process = process
        self._nodes = frozenset(nodes)

    def node_of(self, record: logging.LogRecord) -> str:
        """Which node of the process says this: by the thread, else by the module; else it is the process itself."""
        thread, module = record.threadName or "", f"{record.name}..".split(".")
        names = [thread, thread.rpartition("-")[0], *module[1 : 2 if module[0] == "nodes" else 1]]
        return next((name for name in names if name in self._nodes), _camera.get() or self._process)

    def camera_of(self, node: str) -> str:
        """Which of several cameras a node belongs to; "" where the run has one."""
        return node.partition("/")[0] if "/" in node else _camera.get()

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{clock} {self.node_of(record)}: {level}{record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return redact(text)


class JsonLines(TextLines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        node = self.node_of(record)
        camera = self.camera_of(node)
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            **({"camera": camera} if camera else {}),
            "node": node.rpartition("/")[2] if node != camera else self._process,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


class OncePer(logging.Filter):
    """Lets a record with a `once_key` through at most once in `period_s`."""

    def __init__(self, period_s: float = 5.0) -> None:
        super().__init__()
        self.period_s = period_s
        self._passed_at: dict[str, float] = {}  # once_key -> when a record of it was let through last

    def filter(self, record: logging.LogRecord) -> bool:
        key = getattr(record, "once_key", None)
        if key is None:
            return True
        if record.created - self._passed_at.get(key, -1e9) < self.period_s:
            return False
        self._passed_at[key] = record.created
        return True


class _LineHandler(logging.Handler):
    """Hands each line to a function."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        super().__init__()
        self._write_line = write_line

    def emit(self, record: logging.LogRecord) -> None:
        self._write_line(self.format(record))


def _formatter(config: Log, process: str, nodes: Collection[str] = ()) -> TextLines:
    return JsonLines(process, nodes) if config.format == "json" else TextLines(process, nodes)


def dropped_line(config: Log, node: str) -> Callable[[int], str]:
    """What words the log line that stands for lines that were dropped."""

    def line(count: int) -> str:
        words = f"{count} lines were dropped here: whatever reads the log is too slow"
        return _formatter(config, node).format(logging.LogRecord(node, logging.WARNING, "", 0, words, None, None))

    return line


def install(
    config: Log, process: str, write_line: Callable[[str], None] | None = None, *, nodes: Collection[str] = ()
) -> None:
    """Send this process's log to stderr (or to `write_line`, line by line) in the configured form.

    Each line names the one of the `nodes` whose thread says it, else the process.
    """
    handler = _LineHandler(write_line) if write_line else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(config, process, nodes))
    handler.addFilter(OncePer())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(config.level.upper())
    for talkative in ("zmq", "asyncio", "numba"):  # numba: thousands of lines a function that it compiles
        logging.getLogger(talkative).setLevel(logging.WARNING)
