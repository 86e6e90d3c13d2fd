"""Each node in its own process: start, watch, restart, stop; and the desk where requests are served.

The supervisor outlives every node. It holds what must not be lost (the objects, the frame count) in a registry and
gives it to whichever node starts anew. It never touches a picture.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from msgspec.structs import replace

from stream import figures
from stream.config import Config, plain, redact, source_kind
from stream.control import Desk
from stream.endpoints import Inlet, RequestServer
from stream.errors import ControlError, NodeError, PromptError, StreamError
from stream.messages import REPORTS, Answer, Command, Done, Failure, Found, Health, Hello, Masks, Opened, Prompt
from stream.objects import Registry, check_prompt
from stream.processes import NodeProcess, NodeThread, RestartPolicy
from stream.rundir import Run, RunDir
from stream.runtime import Places, Runtime, renders
from stream.sockets import Context, Poller, Waker
from stream.tally import Tally
from stream.topology import SUPERVISED, TOPICS, Delivery, check_places, readers
from stream.transport import Publisher, Subscriber
from stream.wire import to_json

log = logging.getLogger(__name__)

TICK_MS = 50
LOAD_TIMEOUT_S = 120.0  # a node that has not said hello by then hangs while loading
OBSERVE_S = 0.2  # how old a mask may be that a node is restored with, beside the time that it was away
STATUS_S = 1.0  # how often the world is told how the graph is
SNAPSHOT_TIMEOUT_S = 5.0
REQUESTS_A_TURN = 100  # so that a flood of them does not keep us from the nodes

NodeMain = Callable[[str], Callable[[Runtime], None]]  # a node's name -> its main function


class Dashboard(Protocol):
    """What shows the run to a person."""

    def say(self, line: str) -> None: ...
    def update(self, status: Callable[[], dict[str, Any]]) -> None: ...


class Supervised:
    """A node as the supervisor sees it, over all of its lives."""

    def __init__(self, config: Config) -> None:
        self.life: NodeProcess | NodeThread | None = None
        self.policy = RestartPolicy(config.supervisor.max_restarts, config.supervisor.restart_window_s)
        self.said_hello = False
        self.lives = 0  # that have loaded
        self.beat_s = 0.0  # when it was last heard of
        self.health: Health | None = None
        self.tally = Tally()


class Supervisor:
    """The running graph of one camera."""

    def __init__(self, config: Config, prompts: list[Prompt], node_main: NodeMain, dashboard: Dashboard) -> None:
        check_places(config)
        self.config = config
        self.dashboard = dashboard
        self.node_main = node_main
        self.local = config.graph.run or SUPERVISED
        self.nodes = {name: Supervised(config) for name in SUPERVISED}
        self.asked_for = prompts
        self.journal = (
            Path(config.supervisor.journal.replace("{camera}", config.capture.camera))
            if config.supervisor.journal
            else None
        )
        self.registry = Registry.load(self.journal) if self.journal else Registry()
        self.opened: Opened | None = None
        self._opened_s = 0.0  # when the first frame came
        self.paused = False
        self.surveyed = False  # objects that nobody asked for have been looked for (--auto)
        self.stopping = threading.Event()
        self.error: StreamError | None = None
        self.desk = Desk(self)
        self.began_s = time.monotonic()
        self.done: set[str] = set()
        self._answers: dict[int, tuple[float, Callable[[dict[str, str], str], None]]] = {}
        self._request = 0
        self._observe_at = 0.0
        self._status_at = 0.0
        self._journal_at = math.inf
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
        self.places = Places(config, base)
        self.poller = Poller()
        self.poller.watch(self.waker.fd)
        if not config.graph.host:
            return
        self.reports = Inlet(self.context, self.places.endpoint("reports"), REPORTS)
        commands = readers("commands", live=live)
        self.commands = Publisher(self.context, self.places.endpoint("commands"), "commands", commands)
        self.masks = Subscriber(
            self.context, self.places.endpoint("masks"), "masks", "supervisor", Delivery.NEWEST, (TOPICS["masks"].kind,)
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
                self._start(name)
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
            self.registry.observe(masks)
            self._observe_at = time.monotonic() + OBSERVE_S
            self._journal_at = min(self._journal_at, time.monotonic() + 1.0)
        for _ in range(REQUESTS_A_TURN):
            if (request := self.requests.take()) is None:
                break
            address, parts = request
            self.desk.serve(parts, lambda body, address=address: self.requests.reply(address, body))  # type: ignore[misc]
        self._time_out_answers()
        if self.nodes["publisher"].said_hello and time.monotonic() >= self._status_at:
            self._status_at = time.monotonic() + STATUS_S
            self._command("publisher", kind="status", status=to_json(self.summary()).decode())
        if time.monotonic() >= self._journal_at:
            self._save_journal()

    def _finished(self) -> bool:
        """True once every sink has seen the end of the feed, or every node that we lend has ended."""
        if not self.config.graph.host:
            return all(self.nodes[n].life is None for n in self.local)
        return self.done >= ({"publisher", "renderer"} if renders(self.config) else {"publisher"})

    # --- starting, watching, restarting ---

    def _start(self, name: str) -> None:
        node = self.nodes[name]
        node.beat_s = time.monotonic()
        node.said_hello = False
        if not self.config.supervisor.threads:
            node.life = NodeProcess(name, self.run_dir.path, self.dashboard.say)
            log.debug("%s started, pid %d", name, node.life.pid)
            return

        def run(stop: threading.Event) -> None:
            main = self.node_main(name)
            main(Runtime(name, self.config, self.places, self.context, stop))

        node.life = NodeThread(name, run, self._thread_failed)

    def _thread_failed(self, error: StreamError) -> None:
        self.error = self.error or error
        self.stop()

    def _watch(self) -> None:
        """Restart what has died or hangs."""
        self._drain_reports()  # what came while we were busy counts
        now = time.monotonic()
        limits = self.config.supervisor
        for name in self.local:
            node = self.nodes[name]
            if node.life is None:
                continue
            code = node.life.exit_code()
            if code is None:
                silent = now - node.beat_s
                stuck = node.health.in_step_s if node.health and node.said_hello else 0.0
                if silent > (limits.dead_after_s if node.said_hello else LOAD_TIMEOUT_S) and self.config.graph.host:
                    log.warning("%s has been silent for %.1f s; it is ended and started anew", name, silent)
                elif stuck > limits.step_timeout_s:
                    log.warning("%s has been inside one step for %.0f s; it is ended and started anew", name, stuck)
                else:
                    continue
                node.beat_s = now
                node.life.kill()
                continue
            node.life.close()
            node.life = None
            self._ended(name, node, code)

    def _ended(self, name: str, node: Supervised, code: int) -> None:
        """A node's process has ended without being told to."""
        self._drain_reports()  # its last words may say why
        if self.error or self.stopping.is_set() or (code == 0 and not self.config.graph.host):
            return
        node.tally.close(node.health)
        node.health = None
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if self.config.supervisor.threads or not node.policy.allows(time.monotonic()):
            limits = self.config.supervisor
            often = f" for more than the {limits.max_restarts} times in {limits.restart_window_s:g} s that are allowed"
            self.error = NodeError(f"{name} {how}{'' if self.config.supervisor.threads else often}; the run is over")
            self.stop()
            return
        log.warning("%s %s; it is started anew (restart %d)", name, how, node.policy.total)
        self._start(name)

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
            case Hello():
                node.said_hello = True
                node.lives += 1
                if report.node not in self.local:  # another host restarts it; here we only hear of it
                    node.tally.close(node.health)
                    node.health = None
                self._greet(report.node)
            case Health():
                node.health = report
                if report.frame_id >= 0:
                    node.tally.seen_frame(report.frame_id, time.monotonic())
            case Opened():
                self._source_opened(report)
            case Done():
                self.done.add(report.node)
            case Failure():
                if not self.error:
                    kind: type[StreamError] = type("Reported", (StreamError,), {"exit_code": report.exit_code})
                    self.error = kind(report.message)
                self.stop()
            case Found():
                self._found(report)
            case Answer():
                waiting = self._answers.pop(report.request, None)
                if waiting:
                    waiting[1](report.result, report.error)

    def _greet(self, name: str) -> None:
        """Tell a node that has just loaded where to begin."""
        self.commands.forget(name)
        if name == "capture":
            frame_id, session = self._resume_point()
            opened, elapsed_s = self.opened, time.monotonic() - self._opened_s
            if opened is None:
                self._command(name, kind="start")
            else:
                epoch = opened.epoch
                start = {"frame_id": frame_id, "session": session, "epoch": epoch, "elapsed_s": elapsed_s}
                self._command(name, kind="start", again=True, **start)
            if self.paused:
                self._command(name, kind="pause")
            return
        if name == "tracker":
            if self.opened is not None:
                self._start_tracker()
            return
        self._command(name, kind="start", session=self.nodes[name].lives - 1)
        if name == "decoder" and self.nodes["decoder"].lives > 1:
            self.surveyed = True  # a decoder that died is not asked for it again: it may have died of it
            self._command("tracker", kind="revive")

    def _start_tracker(self) -> None:
        for prompt in self.registry.prompts():
            self._command("tracker", kind="prompt", prompt=prompt)
        newest = self.nodes["tracker"].tally.newest
        survey = self.config.decoder.auto > 0 and newest < 0 and not self.registry.entries and not self.surveyed
        self._command("tracker", kind="start", frame_id=newest, survey=survey)

    def _resume_point(self) -> tuple[int, int]:
        """(frame_id, session) that capture begins with: 0 at first, else after what its last life got to.

        A file goes on after the newest frame that the tracker has had, so that none is lost. A live feed went on
        meanwhile: its ids go on by as many frames as it must have sent.
        """
        if self.opened is None:
            return 0, 0
        if not self.config.live and source_kind(self.config.capture.source) != "rtsp":
            return self.nodes["tracker"].tally.newest + 1, self.opened.session
        newest, age_s = self.nodes["capture"].tally.newest_frame(time.monotonic())
        fps = self.opened.fps or 30.0
        return newest + 1 + math.ceil((age_s + 0.5) * max(fps, 1.0)), self.opened.session + 1

    def _source_opened(self, opened: Opened) -> None:
        first = self.opened is None
        self.opened = opened
        self.registry.size = opened.size
        if not first:
            return
        self._opened_s = time.monotonic()
        height, width = opened.size
        log.info(
            "%s opened: %dx%d%s",
            redact(self.config.capture.source),
            width,
            height,
            f", {opened.fps:.4g} fps" if opened.fps else "",
        )
        try:
            suggested = () if self.registry.entries or self.config.decoder.auto else opened.prompts
            for prompt in self.asked_for or suggested:
                if self.registry.knows(prompt):
                    log.info("object %d is in the journal already; its prompt is not used again", prompt.object_id)
                    continue
                if prompt.object_id < self.registry.next_id:
                    log.info(
                        "id %d is used in the journal; the new object is %d", prompt.object_id, self.registry.next_id
                    )
                    prompt = replace(prompt, object_id=self.registry.next_id)
                check_prompt(prompt, opened.size)
                self.registry.add(prompt, opened.size)
        except ControlError as error:
            self.error = PromptError(str(error))
            self.stop()
            return
        if not self.registry.entries and not self.config.decoder.auto:
            log.info("no object is followed yet: add one with `python tools/ctl.py add --point X,Y`")
        self._journal_at = 0.0
        if self.nodes["tracker"].said_hello:
            self._start_tracker()

    def _found(self, found: Found) -> None:
        """Follow what the decoder has found (--auto)."""
        late = found.survey and self.surveyed  # from the former life of a node
        waits = found.survey and not self.config.live  # the tracker does, with the frame of these masks
        ids = [] if late else self.desk.follow(found, self.config.decoder.auto, exact=waits)
        if found.survey:
            self.surveyed = True
            self._command("tracker", kind="found")
        if ids or found.survey:
            log.info("objects found on frame %d: %s", found.frame_id, ", ".join(map(str, ids)) or "none")

    def _command(self, name: str, **values: Any) -> None:
        self.commands.send(Command(**values), to=name)

    # --- what control asks (control.Graph) ---

    def prompt(self, prompt: Prompt) -> None:
        """Give a prompt to the tracker."""
        self._journal_at = 0.0
        if self.nodes["tracker"].said_hello:
            self._command("tracker", kind="prompt", prompt=prompt)

    def remove(self, object_id: int) -> None:
        """Take an object away."""
        self._journal_at = 0.0
        self._command("tracker", kind="remove", object_id=object_id)

    def pause(self, on: bool) -> None:
        """Hold the feed, or let it go on."""
        self.paused = on
        self._command("capture", kind="pause" if on else "resume")
        log.info("paused" if on else "resumed")

    def snapshot(self, answer: Callable[[dict[str, str], str], None]) -> None:
        """Have the renderer write the newest frame."""
        self._request += 1
        self._answers[self._request] = (time.monotonic() + SNAPSHOT_TIMEOUT_S, answer)
        self._command("renderer", kind="snapshot", request=self._request)

    def shut_down(self) -> None:
        """End the run once the reply is out."""
        self.stop()

    def _time_out_answers(self) -> None:
        now = time.monotonic()
        for request in [r for r, (until, _) in self._answers.items() if now > until]:
            _, answer = self._answers.pop(request)
            answer({}, f"no answer from the renderer within {SNAPSHOT_TIMEOUT_S:g} s: no frame came")

    def _save_journal(self) -> None:
        self._journal_at = math.inf
        if self.journal is None:
            return
        try:
            self.registry.save(self.journal)
        except OSError as error:
            log.warning(
                "supervisor.journal %s can't be written: %s",
                self.journal,
                error.strerror,
                extra={"once_key": "journal"},
            )

    # --- the end ---

    def _stop(self) -> None:
        """End every node: ask, wait, then kill; leave no process and no socket."""
        self.stopping.set()
        for _, answer in self._answers.values():
            answer({}, "the run ends before a frame came")
        self._answers.clear()
        if self.config.graph.host:
            self._save_journal()
            self.commands.send(Command(kind="stop"))
        lives = [n.life for n in self.nodes.values() if n.life is not None]
        for life in lives:
            life.terminate()
        until = time.monotonic() + self.config.supervisor.stop_timeout_s
        while any(life.exit_code() is None for life in lives) and time.monotonic() < until:
            self.poller.wait(20)
            self._drain_reports()
            if self.config.graph.host:
                self.commands.pump()
        for life in lives:
            if life.exit_code() is None:
                log.warning("%s did not stop in %g s; it is killed", life.node, self.config.supervisor.stop_timeout_s)
                life.kill()
        if not self.config.supervisor.threads:
            for life in lives:
                life.close()
        self._drain_reports()
        if self.config.graph.host:
            for socket in (self.reports, self.commands, self.masks):
                socket.close()
            self.requests.close()
        self.context.close()
        self.run_dir.remove()

    # --- numbers ---

    def summary(self) -> dict[str, Any]:
        """The figures of the run so far, and what capture is doing (control.Graph)."""
        return figures.summary(self)
