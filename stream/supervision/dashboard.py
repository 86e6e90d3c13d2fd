"""What a person sees while it runs: a live table in a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from stream.settings.config import Config, FleetConfig
from stream.settings.secrets import redact

log = logging.getLogger("graph")

PLAIN_PERIOD_S = 5.0
LIVE_PERIOD_S = 0.25


class PlainLines:
    """Without a terminal: log lines, one on the progress every few seconds."""

    def __init__(self) -> None:
        self.due_s = time.monotonic() + PLAIN_PERIOD_S

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write_line(self, line: str) -> None:
        """Write a line of a node's log."""
        sys.stderr.write(line + "\n")  # an Output (stream/console/output.py): it neither waits nor fails

    def update(self, summary: Callable[[], dict[str, Any]]) -> None:
        """Log the progress, if it is time."""
        if time.monotonic() >= self.due_s:
            self.due_s = time.monotonic() + PLAIN_PERIOD_S
            for line in progress(summary()).splitlines():
                log.info("%s", line)


def progress(status: dict[str, Any]) -> str:
    """One line: what the feed does, rates and ages, the objects' states. Of several cameras a line each."""
    if "cameras" in status:
        return "\n".join(f"{name}: {progress(camera)}" for name, camera in status["cameras"].items())
    if status.get("state") == "failed":
        return f"failed: {status['reason']}"
    frames, latency = status["frames"], status["latency_ms"]
    objects = ", ".join(f"{_name(o)} {o['state']}" for o in status["objects"]) or "none"
    rate = status["nodes"]["decoder"]["rate_hz"]
    return (
        f"{_condition(status)}: {frames['captured']} frames, {frames['passed_over']} passed over, "
        f"decoder {rate:.1f}/s, latency p50 {latency['p50']:.0f} p95 {latency['p95']:.0f} ms; "
        f"objects: {objects}"
    )


def _condition(status: dict[str, Any]) -> str:
    """What the feed does; with what is wrong, where something is."""
    return f"{status['state']} ({status['reason']})" if status.get("reason") else str(status["phase"])


def _name(o: dict[str, Any]) -> str:
    """An object's id, and what the user calls it; a publisher of an older version knows no labels."""
    return f"{o['id']} ({o['label']})" if o.get("label") else str(o["id"])


class LiveTable:
    """In a terminal: the nodes and the objects in a table that is redrawn in place; log lines pass above it."""

    def __init__(self, config: Config) -> None:
        from rich.console import Console
        from rich.live import Live

        several = isinstance(config, FleetConfig)
        self.title = "" if several else redact(config.capture.source)
        self.due_s = 0.0
        self.console = Console(stderr=True, highlight=False)
        self.live = Live(console=self.console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveTable:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def write_line(self, line: str) -> None:
        """Write a line of a node's log, above the table."""
        self.console.print(line, markup=False, soft_wrap=True)

    def update(self, summary: Callable[[], dict[str, Any]]) -> None:
        """Redraw the table, if it is time."""
        if time.monotonic() >= self.due_s:
            self.due_s = time.monotonic() + LIVE_PERIOD_S
            self.live.update(table(self.title, summary()), refresh=True)


def camera_table(title: str, status: dict[str, Any]) -> Any:
    """The rich table of several cameras: a row each."""
    from rich.box import SIMPLE
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    totals = status["totals"]
    head = Text.assemble(
        ("SAM-PT Live  ", "bold"),
        f"{title}  {totals['cameras']} cameras  {totals['published_hz']:.1f} masks messages a second  "
        f"{totals['restarts']} restarts  {totals['reconnects']} reconnects",
    )
    cameras = Table(box=SIMPLE, pad_edge=False)
    for column in ("camera", "state", "per s", "passed over", "p50 ms", "p95 ms", "memory MB", "restarts", "objects"):
        cameras.add_column(column, justify="left" if column in ("camera", "state", "objects") else "right")
    for name, own in status["cameras"].items():
        recent, nodes = own["recent"], [n for key, n in own["nodes"].items() if key != "supervisor"]
        memory = {n["pid"]: n.get("rss_mb", 0.0) for n in nodes}  # nodes of a process all tell that of the process
        cameras.add_row(
            name,
            Text(_condition(own), "green" if own["state"] == "running" else "yellow"),
            f"{recent['published_hz']:.1f}",
            str(own["frames"]["passed_over"]),
            f"{recent['latency_ms']['p50']:.0f}",
            f"{recent['latency_ms']['p95']:.0f}",
            f"{sum(memory.values()):.0f}",
            str(own["restarts"]),
            Text(", ".join(f"{_name(o)} {o['state']}" for o in own["objects"]) or "none"),
        )
    return Group(head, cameras, Text("Ctrl-C stops; tools/ctl.py --camera NAME adds and removes objects", "dim"))


def table(title: str, status: dict[str, Any]) -> Any:
    """The rich table of a status."""
    if "cameras" in status:
        return camera_table(title, status)
    from rich.box import SIMPLE
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    frames, latency = status["frames"], status["latency_ms"]
    head = Text.assemble(
        ("SAM-PT Live  ", "bold"),
        f"{title}  ",
        (_condition(status), "green" if _condition(status) == "running" else "yellow"),
        f"  {frames['captured']} frames, {frames['passed_over']} passed over"
        f"  latency p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms"
        f"  session {max(0, status['sessions'] - 1)}",
    )
    nodes = Table(box=SIMPLE, pad_edge=False)
    for column in ("node", "per s", "step ms", "busy", "memory MB", "restarts"):
        nodes.add_column(column, justify="left" if column == "node" else "right")
    for name, n in status["nodes"].items():
        if name != "supervisor":
            nodes.add_row(
                name,
                f"{n['rate_hz']:.1f}",
                f"{n['step_ms']:.1f}",
                f"{n['busy']:.0%}",
                f"{n['rss_mb']:.0f}",
                str(n["restarts"]),
            )
    objects = Table(box=SIMPLE, pad_edge=False)
    for column in ("object", "label", "state", "score", "area px"):
        objects.add_column(column, justify="left" if column in ("label", "state") else "right")
    styles = {"tracked": "green", "uncertain": "yellow", "lost": "red", "reacquired": "cyan"}
    for o in status["objects"]:
        score, area = ("", "") if o["score"] is None else (f"{o['score']:.2f}", str(o["area"]))
        state = Text(f"{o['state']}: {o['reason']}" if o["reason"] else o["state"], styles.get(o["state"], ""))
        objects.add_row(str(o["id"]), Text(o["label"]), state, score, area)
    return Group(head, nodes, objects, Text("Ctrl-C stops; tools/ctl.py adds, refines and removes objects", "dim"))


def make_dashboard(config: Config) -> PlainLines | LiveTable:
    """The live table where there is a terminal to draw in, plain lines elsewhere."""
    if config.log.dashboard and config.log.format == "text" and sys.stderr.isatty():
        return LiveTable(config)
    return PlainLines()
