"""The supervisor's loop: keeps the cameras and their nodes alive, serves requests, ends all in order.

The supervisor outlives every node. A camera's commands are decided in `session.py` and replies in `requests/`; when a
process hangs, in `lifecycle.py`. What the nodes of a camera need is in `fleet/`. It never touches a picture.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from stream.console.start_checks import check_camera
from stream.errors import StreamError
from stream.messages import Prompt
from stream.runtime import StopFlag
from stream.settings.addresses import connectable
from stream.settings.config import Config
from stream.supervision.actions import Outbox, SendReply
from stream.supervision.connections import Connections, HostConnections
from stream.supervision.control import RequestHandler
from stream.supervision.fleet.cameras import Cameras
from stream.supervision.fleet.clients import RunClients
from stream.supervision.fleet.making import GroupMaker
from stream.supervision.fleet.membership import Membership
from stream.supervision.launching import RunNode
from stream.supervision.lifecycle import end, ends_within
from stream.supervision.requests.run_call import ServedRun

if TYPE_CHECKING:
    from stream.service.notify import Notifier
    from stream.service.service_state import ServiceState

log = logging.getLogger(__name__)

TICK_MS = 50
END_TICK_MS = 20
END_HANGS_S = 20.0  # after the nodes were ended: closing sockets and leaving a cluster take a few at most
ANNOUNCE_S = 1.0  # how often it is looked at whether tools can still find the run
# So that a flood of them does not keep us from the nodes: `stats` of all cameras takes a millisecond for each.
REQUESTS_A_ROUND = 100
REQUESTS_S = 0.1


class Dashboard(Protocol):
    """What shows the run to a person."""

    def write_line(self, line: str) -> None: ...
    def update(self, summary: Callable[[], dict[str, Any]]) -> None: ...


class Supervisor:
    """The running graphs of all cameras."""

    def __init__(
        self,
        config: Config,
        cameras: Cameras,
        clients: RunClients,
        connections: Connections,
        dashboard: Dashboard,
        run: ServedRun,
        clock: Callable[[], float] = time.monotonic,
        notifier: Notifier | None = None,
    ) -> None:
        """`run`: what clients ask of it as a whole; `notifier`: systemd, where that has started us."""
        self.config = config
        self.cameras = cameras
        self._outbox = Outbox()  # replies of the run itself
        self._requests = RequestHandler(run, self._outbox, config.control)
        clients.serve_with(self._requests)
        self._connections = connections
        self._dashboard = dashboard
        self._clock = clock
        self._stopping = StopFlag()
        self._notifier = notifier
        self._service = _make_service_state(notifier)
        self._announce_at_s = 0.0
        self._bound = ""  # where masks are published, as tools were told

    @property
    def error(self) -> StreamError | None:
        """What the run has failed of."""
        return self.cameras.error

    # --- the run ---

    def run(self) -> None:
        """Run until every feed has ended, the user stops it, or it fails (then the error is raised)."""
        try:
            self._announce()
            self.cameras.start()
            while not self._stopping.is_set():
                self._round()
                self.cameras.watch()
                self._dashboard.update(self.summary)
                if self.cameras.finished:
                    self._stopping.set()
        finally:
            with ends_within(self.config.supervisor.stop_timeout_s + END_HANGS_S):
                self._end()
        if self.error:
            raise self.error

    def _announce(self) -> None:
        """Let tools find the run; say where requests go to if the system has chosen the port."""
        self._connections.announce(self.config)
        self._announce_cameras()
        asked_for, bound = self.config.control.endpoint, self._connections.control_endpoint
        if asked_for and not connectable(asked_for):
            log.info("requests are taken at %s", bound)

    def _announce_cameras(self) -> None:
        """Let tools find the run by the cameras that it has now."""
        if self.cameras.is_fleet:
            self._connections.announce_cameras(tuple(self.cameras.cameras))

    def stop_on(self, signals: Iterable[signal.Signals]) -> None:
        """Stop on these signals from now on, and on those of them that were held back until now."""
        for number in signals:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
                signal.signal(number, lambda *_: self.stop())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    def stop(self) -> None:
        """End the run; safe in a signal handler."""
        self._stopping.set()
        self._connections.wake()

    def summary(self) -> dict[str, Any]:
        """The run so far (docs/protocol.md), for --summary and `stats`."""
        return self.cameras.summary()

    def _round(self) -> None:
        """Wait for something to come, and serve it."""
        self.cameras.ask_for_masks()
        self._connections.wait(TICK_MS)
        self.cameras.serve()
        now_s = self._clock()
        for address, parts in self._connections.take_requests(REQUESTS_A_ROUND):
            self._requests.serve(address, parts, now_s)
            self._act()
            if self._clock() - now_s > REQUESTS_S:
                break
        self._tell_bound()
        if self.cameras.stop_requested:
            self._stopping.set()
        if now_s >= self._announce_at_s:
            self._announce_at_s = now_s + ANNOUNCE_S
            self._announce_cameras()
            self._connections.keep_announced()
            self._tell_service(now_s)

    def _tell_service(self, now_s: float) -> None:
        """Tell systemd how the run is."""
        if self._notifier is None or self._service is None:
            return
        if words := self._service.update([c.service_signs() for c in self.cameras.cameras.values()], now_s):
            self._notifier.tell(words)

    def _act(self) -> None:
        """Send the replies of the run, and what the request has made a camera decide."""
        self.cameras.act()
        for action in self._outbox.take():
            if isinstance(action, SendReply):
                self._connections.reply(action.address, action.body)

    def _tell_bound(self) -> None:
        """Say where masks are published, once that is known or has changed."""
        bound = self.cameras.bound
        if bound and bound != self._bound:
            self._bound = bound
            self._connections.announce_publisher(bound)
            if self.config.publisher.endpoint and not connectable(self.config.publisher.endpoint):
                log.info("masks are published at %s", bound)  # the system has chosen the port

    # --- the end ---

    def _end(self) -> None:
        """End every node, and leave no process and no socket."""
        self._stopping.set()
        if self._notifier is not None:
            self._notifier.tell({"STOPPING": "1", "STATUS": "stopping"})
        self.cameras.stop_nodes()
        end(self.cameras.processes, self.config.supervisor.stop_timeout_s, self._wait_for_end)
        self.cameras.take_errors()
        self.cameras.take_reports()
        alive = [p for p in self.cameras.processes if p.running is not None and p.running.exit_code() is None]
        self.cameras.close()  # agents on other hosts are still told to leave
        self._connections.close(in_use=bool(alive))
        if self._notifier is not None:
            self._notifier.close()

    def _wait_for_end(self) -> None:
        """Pass a moment of the end: what nodes still report counts."""
        self._connections.wait(END_TICK_MS)
        self.cameras.take_reports()
        self.cameras.send_commands()


def make_supervisor(
    config: Config,
    prompts: Sequence[Prompt],
    run_node: RunNode,
    dashboard: Dashboard,
    read_again: Callable[[], Config] | None = None,
) -> Supervisor:
    """A supervisor with its sockets open; ConfigError where they can't be. `run_node` serves for --threads.

    `read_again` reads the config anew, for `reload`.
    """
    notifier = _find_notifier()  # before a process inherits what leads to it
    connections = HostConnections(config) if config.graph.host else Connections(config)
    clients = RunClients(connections)
    maker = GroupMaker(connections, clients, run_node, dashboard.write_line)
    cameras = Cameras(config, maker, clients)
    membership = Membership(cameras, read_again, check_camera)
    try:
        cameras.make(prompts)
        return Supervisor(config, cameras, clients, connections, dashboard, membership, notifier=notifier)
    except Exception:
        connections.close()
        cameras.close()
        raise


def _find_notifier() -> Notifier | None:
    """Systemd, where that has started us."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None
    from stream.service.notify import find_notifier  # what is off is not loaded

    return find_notifier()


def _make_service_state(notifier: Notifier | None) -> ServiceState | None:
    """What decides what systemd is told, where somebody is to be told."""
    if notifier is None:
        return None
    from stream.service.service_state import ServiceState  # what is off is not loaded

    return ServiceState(watchdog=notifier.watchdog_s is not None)
