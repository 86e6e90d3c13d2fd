"""Each node in its own process: start, watch, restart, stop; and the desk where requests are served.

The supervisor outlives every node. It keeps them alive and carries messages; what they are told is the director's.
It never touches a picture.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from stream.errors import NodeError, PromptError, StreamError
from stream.messages import Command, Masks, Prompt
from stream.reports import REPORTS, Answer, Done, Failure, Found, Health, Hello, Opened
from stream.run_directory import Run, RunDir
from stream.runtime import Endpoints, Runtime, renders
from stream.service_sockets import Inlet, RequestServer
from stream.settings.config import Config
from stream.settings.presets import plain
from stream.sockets import Context, Poller, Waker
from stream.supervision import run_summary
from stream.supervision.lifecycle import Life, Supervised, end
from stream.supervision.processes import NodeProcess, NodeThread
from stream.supervision.session import Session
from stream.topology import SUPERVISED, TOPICS, Delivery, check_places, readers
from stream.transport import Publisher, Subscriber
from stream.wire import to_json

log = logging.getLogger(__name__)

TICK_MS = 50
OBSERVE_S = 0.2  # how old a mask may be that a node is restored with, beside the time that it was away
STATUS_S = 1.0  # how often the world is told how the graph is
REQUESTS_A_TURN = 100  # so that a flood of them does not keep us from the nodes

NodeMain = Callable[[str], Callable[[Runtime], None]]  # a node's name -> its main function


class Dashboard(Protocol):
    """What shows the run to a person."""

    def say(self, line: str) -> None: ...
    def update(self, status: Callable[[], dict[str, Any]]) -> None: ...


class Supervisor:
    """The running graph of one camera."""

    def __init__(self, config: Config, prompts: list[Prompt], node_main: NodeMain, dashboard: Dashboard) -> None:
        check_places(config)
        self.config = config
        self.dashboard = dashboard
        self.node_main = node_main
        self.local = config.graph.run or SUPERVISED
        self.nodes = {name: Supervised(name, config, self._launch) for name in SUPERVISED}
        self.director = Session(config, prompts, self)
        self.stopping = threading.Event()
        self.error: StreamError | None = None
        self.began_s = time.monotonic()
        self.done: set[str] = set()
        self._observe_at = 0.0
        self._status_at = 0.0
        self.waker = Waker()
        self.run_dir = RunDir.create()
        try:
            self._open_sockets()
        except StreamError:
            self.run_dir.remove()
            raise

    def _open_sockets(self) -> None:
        config, live = self.config, self.config.live
        base = f"inproc://{self.run_dir.path.name}/" if config.supervisor.threads else f"ipc://{self.run_dir.path}/"
        self.context = Context(config.graph.keys)
        self.endpoints = Endpoints(config, base)
        self.poller = Poller()
        self.poller.watch(self.waker.fd)
        if not config.graph.host:
            return
        self.reports = Inlet(self.context, self.endpoints.endpoint("reports"), REPORTS)
        commands = readers("commands", live=live)
        self.commands = Publisher(self.context, self.endpoints.endpoint("commands"), "commands", commands)
        self.masks = Subscriber(
            self.context,
            self.endpoints.endpoint("masks"),
            "masks",
            "supervisor",
            Delivery.NEWEST,
            (TOPICS["masks"].kind,),
        )
        self.requests = RequestServer(self.context, config.control.endpoint or self.run_dir.endpoint("control"))
        for thing in (self.reports, self.commands, self.masks, self.requests):
            self.poller.watch(thing)

    # --- the run ---

    def run(self) -> None:
        """Run until the feed ends, the user stops it, or it fails (then the error is raised)."""
        try:
            if not self.config.supervisor.threads:
                path = self.run_dir.path / "config.json"
                path.touch(mode=0o600)
                path.write_text(json.dumps(plain(self.config)))
            if self.config.graph.host:
                publish = self.config.publisher.endpoint or self.run_dir.endpoint("publish")
                publish = publish.replace("//*:", "//127.0.0.1:").replace("//0.0.0.0:", "//127.0.0.1:")
                self.run_dir.announce(Run(os.getpid(), self.config.capture.camera, self.requests.endpoint, publish))
            for name in self.local:
                self.nodes[name].start()
            while not self.stopping.is_set():
                self._turn()
                self._watch()
                self.dashboard.update(self.summary)
                if self._finished():
                    log.info("the feed has ended")
                    break
        finally:
            self._stop()
        if self.error:
            raise self.error

    def obey(self, signals: Iterable[signal.Signals]) -> None:
        """Stop on these signals from now on, and on those of them that were held back until now."""
        for number in signals:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, self.stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def stop(self, *_: object) -> None:
        """End the run; safe in a signal handler."""
        self.stopping.set()
        self.waker.wake()

    def fail(self, error: StreamError) -> None:
        """End the run with this error, unless another came first."""
        self.error = self.error or error
        self.stop()

    def _turn(self) -> None:
        """Wait for something to come, and serve it."""
        now = time.monotonic()
        if self.config.graph.host and now >= self._observe_at:
            self.masks.ask()
        self.poller.wait(TICK_MS)
        self.waker.drain()
        if not self.config.graph.host:
            return
        self._drain_reports()
        self.commands.pump()
        if isinstance(masks := self.masks.take(), Masks):
            self.director.observe(masks)
            self._observe_at = time.monotonic() + OBSERVE_S
        for _ in range(REQUESTS_A_TURN):
            if (request := self.requests.take()) is None:
                break
            address, parts = request
            self.director.desk.serve(parts, lambda body, address=address: self.requests.reply(address, body))  # type: ignore[misc]
        self.director.snapshots.time_out()
        if self.nodes["publisher"].said_hello and time.monotonic() >= self._status_at:
            self._status_at = time.monotonic() + STATUS_S
            self.tell("publisher", Command(kind="status", status=to_json(self.summary()).decode()))
        self.director.save_when_due()

    def _finished(self) -> bool:
        """True once every sink has seen the end of the feed, or every node that we lend has ended."""
        if not self.config.graph.host:
            return all(self.nodes[n].life is None for n in self.local)
        return self.done >= ({"publisher", "renderer"} if renders(self.config) else {"publisher"})

    # --- starting, watching, restarting ---

    def _launch(self, name: str) -> Life:
        """A new life of a node: a process, or a thread of ours."""
        if not self.config.supervisor.threads:
            process = NodeProcess(name, self.run_dir.path, self.dashboard.say)
            log.debug("%s started, pid %d", name, process.pid)
            return process

        def run(stop: threading.Event) -> None:
            main = self.node_main(name)
            main(Runtime(name, self.config, self.endpoints, self.context, stop))

        return NodeThread(name, run, self.fail)

    def _watch(self) -> None:
        """Restart what has died or hangs."""
        self._drain_reports()  # what came while we were busy counts
        now = time.monotonic()
        for name in self.local:
            if (code := self.nodes[name].watch(now)) is not None:
                self._ended(self.nodes[name], code)

    def _ended(self, node: Supervised, code: int) -> None:
        """A node's process has ended without being told to."""
        self._drain_reports()  # its last words may say why
        if self.error or self.stopping.is_set() or (code == 0 and not self.config.graph.host):
            return
        node.count_past()
        limits = self.config.supervisor
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if limits.threads or not node.policy.allows(time.monotonic()):
            often = f" for more than the {limits.max_restarts} times in {limits.restart_window_s:g} s that are allowed"
            self.fail(NodeError(f"{node.name} {how}{'' if limits.threads else often}; the run is over"))
            return
        log.warning("%s %s; it is started anew (restart %d)", node.name, how, node.policy.total)
        node.start()

    # --- what nodes report ---

    def _drain_reports(self) -> None:
        if self.config.graph.host:
            while (report := self.reports.take()) is not None:
                self._take(report)

    def _take(self, report: Any) -> None:
        if report.node not in self.nodes:
            self.reports.malformed += 1
            return
        node = self.nodes[report.node]
        node.beat_s = time.monotonic()
        match report:
            case Hello(life=life):
                node.loaded()
                if report.node not in self.local:  # another host restarts it; here we only hear of it
                    node.count_past()
                self.commands.expect(report.node, life)
                self.director.greet(report.node)
            case Health():
                node.beats(report)
            case Opened():
                try:
                    self.director.open(report)
                except PromptError as error:
                    self.fail(error)
            case Done():
                self.done.add(report.node)
            case Failure():
                kind: type[StreamError] = type("Reported", (StreamError,), {"exit_code": report.exit_code})
                self.fail(kind(report.message))
            case Found():
                self.director.follow(report)
            case Answer():
                self.director.snapshots.answered(report)

    def tell(self, node: str, command: Command) -> None:
        """Send a command to a node (director.Company)."""
        self.commands.send(command, to=node)

    def summary(self) -> dict[str, Any]:
        """The figures of the run so far, and what capture is doing."""
        return run_summary.summary(self)

    # --- the end ---

    def _stop(self) -> None:
        """End every node, and leave no process and no socket."""
        self.stopping.set()
        self.director.snapshots.end()
        if self.config.graph.host:
            self.director.save()
            self.commands.send(Command(kind="stop"))
        end(self.nodes.values(), self.config.supervisor.stop_timeout_s, self._wait)
        self._drain_reports()
        if self.config.graph.host:
            for socket in (self.reports, self.commands, self.masks):
                socket.close()
            self.requests.close()
        self.context.close()
        self.run_dir.remove()

    def _wait(self) -> None:
        """Pass a moment of the end: what nodes still say is heard."""
        self.poller.wait(20)
        self._drain_reports()
        if self.config.graph.host:
            self.commands.pump()
