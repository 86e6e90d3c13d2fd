"""The server as a whole, with its event loop in a thread of its own: start it, learn its address, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nodes.web.access.passwords import read_accounts
from nodes.web.access.request_checks import Hosts
from nodes.web.access.run_files import Address, RunFiles
from nodes.web.access.sessions import Access
from nodes.web.camera_feed import CameraFeed
from nodes.web.counts import Counts
from nodes.web.door import BACKLOG, open_door, read_certificate, read_token
from nodes.web.http.gate import Gate
from nodes.web.http.limited_server import LimitedServer
from nodes.web.http.login_handlers import LoginHandlers
from nodes.web.http.page_handlers import PageHandlers
from nodes.web.http.program_handlers import ProgramHandlers
from nodes.web.http.recording_handlers import RecordingHandlers
from nodes.web.http.static_files import read_static_files
from nodes.web.hub import GRID_S, TICK_S, Hub
from nodes.web.metrics import Metrics
from nodes.web.relay import Listening, Requests
from stream.errors import SourceError
from stream.recordings.index_file import IndexedFolder
from stream.settings.config import Web

log = logging.getLogger(__name__)

START_S = 10.0
STOP_S = 1.0  # for pages to take their last message
HANDSHAKE_S = 10.0


class WebServer:
    """Serves pages; everything but `start` and `stop` happens in its own thread."""

    def __init__(
        self,
        web: Web,
        listening: Listening,
        requests: Requests,
        cameras: Sequence[str],
        folder: Path,
        camera_feed: CameraFeed | None = None,
        recordings: Mapping[str, IndexedFolder] | None = None,
    ) -> None:
        """ConfigError where the address can't be bound or a file can't be read.

        `folder` is the run's own: links and sessions are kept there. `recordings` are by camera.
        """
        self._files = RunFiles(folder)
        self._accounts = read_accounts(web.passwords) if web.passwords else {}
        self._tls = read_certificate(web)
        self._metrics_token = read_token(web.metrics_token)
        self._web = web
        self._listening, self._requests = listening, requests
        self._cameras = cameras
        self._camera_feed = camera_feed
        self._recordings = dict(recordings or {})
        self._static = read_static_files()
        self._hub: Hub | None = None  # while it serves
        earlier = self._files.load_address()
        self.door = open_door(web, earlier.port if earlier else 0)
        self.access = Access(time.monotonic, self._files)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._reason = ""
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> str:
        """Begin to serve; the address to open."""
        self._thread.start()
        if not self._ready.wait(START_S) or self._failure is not None:
            raise SourceError(f"--web {self._web.endpoint}: the server does not start: {self._failure}")
        port = self.door.socket.getsockname()[1]
        self._files.save_address(Address(self.door.url, port, by_password=bool(self._accounts)))
        if self._accounts:
            return self.door.url
        return f"{self.door.url}?once={self.access.make_link()}"

    def set_cameras(self, cameras: Sequence[str]) -> None:
        """These are the cameras from now on; from another thread."""
        if self._loop is not None and self._hub is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended by itself
                self._loop.call_soon_threadsafe(self._hub.set_cameras, list(cameras))

    @property
    def serving(self) -> bool:
        """Whether the server runs."""
        return self._thread.is_alive()

    def stop(self, reason: str = "") -> None:
        """Tell the pages why, and end."""
        self._reason = reason
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(self._stopping.set)
            except RuntimeError:  # it has just ended by itself
                pass
            self._thread.join(STOP_S + 2.0)
        self.door.socket.close()
        self._listening.close()
        self._requests.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failure = error
            log.exception("the web server failed")
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        hub = self._hub = Hub(self._listening, self._requests, self._cameras, self._web.max_viewers)
        cookie = f"sam_pt_live_{self.door.socket.getsockname()[1]}"  # cookies are shared by all ports of a host
        counts = Counts()
        page = PageHandlers(hub, self.access, counts, self._static, self._camera_feed)
        login = LoginHandlers(
            self.access, self._accounts, counts, cookie, page.close_pages, https=self._tls is not None
        )
        programs = ProgramHandlers(hub, Metrics(hub, counts))
        hosts = Hosts(self.door.host, self._web.hosts)
        gate = Gate(
            [page, login, programs, RecordingHandlers(self._recordings)],
            login,
            self.access,
            counts,
            hosts,
            cookie,
            self._metrics_token,
        )
        server = LimitedServer(gate.handle, counts)
        self._requests.start(loop)
        self._listening.start(loop, hub.take)
        listener = await loop.create_server(
            server,
            sock=self.door.socket,
            ssl=self._tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
        )
        self._ready.set()
        every_second = [hub.tick, page.close_pages, server.count]
        ticking = [
            asyncio.create_task(_tick(every_second, TICK_S)),
            asyncio.create_task(_tick([hub.choose_topics], GRID_S / 2)),
        ]
        try:
            await self._stopping.wait()
        finally:
            for task in ticking:
                task.cancel()
            listener.close()
            hub.end(self._reason)
            await asyncio.sleep(min(0.2, STOP_S) if len(hub.viewers) else 0)
            await server.shutdown(STOP_S)
            hub.close()


async def _tick(actions: Sequence[Callable[[], None]], period_s: float) -> None:
    """Do these again and again."""
    while True:
        await asyncio.sleep(period_s)
        for action in actions:
            try:
                action()
            except Exception:
                log.exception("a fault in the web server", extra={"once_key": "web tick"})
