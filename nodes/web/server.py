"""The server as a whole, with its event loop in a thread of its own: start it, learn its address, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodes.web.access.passwords import read_accounts
from nodes.web.access.request_checks import Hosts
from nodes.web.access.run_files import Address, RunFiles
from nodes.web.access.sessions import Access
from nodes.web.camera_feed import CameraFeed
from nodes.web.counts import Counts
from nodes.web.http.gate import Gate
from nodes.web.http.limited_server import LimitedServer
from nodes.web.http.login_handlers import LoginHandlers
from nodes.web.http.page_handlers import PageHandlers
from nodes.web.http.program_handlers import ProgramHandlers
from nodes.web.http.static_files import read_static_files
from nodes.web.hub import TICK_S, Hub
from nodes.web.metrics import Metrics
from nodes.web.relay import Listening, Requests
from stream.errors import ConfigError, SourceError
from stream.settings.config import Web
from stream.settings.web_access import host_and_port

log = logging.getLogger(__name__)

START_S = 10.0
STOP_S = 1.0  # for pages to take their last message
BACKLOG = 128
HANDSHAKE_S = 10.0


@dataclass(frozen=True)
class Door:
    """The listening socket, and how it is reached."""

    socket: socket.socket
    host: str  # as bound
    url: str  # for a browser on this machine, or on others where they can reach it


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
    ) -> None:
        """ConfigError where the address can't be bound or a file can't be read.

        `folder` is the run's own: links and sessions are kept there.
        """
        self._files = RunFiles(folder)
        self._accounts = read_accounts(web.passwords) if web.passwords else {}
        self._tls = _tls(web)
        self._metrics_token = read_token(web.metrics_token)
        self._web = web
        self._listening, self._requests = listening, requests
        self._cameras = cameras
        self._camera_feed = camera_feed
        self._static = read_static_files()
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
        hub = Hub(self._listening, self._requests, self._cameras, self._web.max_viewers)
        cookie = f"sam_pt_live_{self.door.socket.getsockname()[1]}"  # cookies are shared by all ports of a host
        counts = Counts()
        page = PageHandlers(hub, self.access, counts, self._static, self._camera_feed)
        login = LoginHandlers(
            self.access, self._accounts, counts, cookie, page.close_pages, https=self._tls is not None
        )
        programs = ProgramHandlers(hub, Metrics(hub, counts))
        hosts = Hosts(self.door.host, self._web.hosts)
        gate = Gate([page, login, programs], login, self.access, counts, hosts, cookie, self._metrics_token)
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
        ticking = asyncio.create_task(_tick([hub.tick, page.close_pages, server.count]))
        try:
            await self._stopping.wait()
        finally:
            ticking.cancel()
            listener.close()
            hub.end(self._reason)
            await asyncio.sleep(min(0.2, STOP_S) if len(hub.viewers) else 0)
            await server.shutdown(STOP_S)
            hub.close()


async def _tick(actions: Sequence[Callable[[], None]]) -> None:
    """Do these once a second."""
    while True:
        await asyncio.sleep(TICK_S)
        for action in actions:
            try:
                action()
            except Exception:
                log.exception("a fault in the web server", extra={"once_key": "web tick"})


def open_door(web: Web, earlier_port: int = 0) -> Door:
    """The listening socket; ConfigError says why there is none.

    Where the system is to choose the port, that of an earlier life of this node is taken again if it is free, so that
    the pages that are open find it.
    """
    host, port = host_and_port(web.endpoint)
    if port == 0 and earlier_port:
        with contextlib.suppress(ConfigError):
            return _open_door(web, host, earlier_port)
    return _open_door(web, host, port)


def _open_door(web: Web, host: str, port: int) -> Door:
    scheme = "https" if web.certificate else "http"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"--web {web.endpoint}: {host} is no address of this machine ({error.strerror})") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(_why_not_bound(web.endpoint, error)) from None
    bound_host, bound_port = listening.getsockname()[:2]
    shown = _own_address() if bound_host in ("0.0.0.0", "::") else "127.0.0.1" if host == "localhost" else bound_host
    name = f"[{shown}]" if ":" in shown else shown
    return Door(listening, bound_host, f"{scheme}://{name}:{bound_port}/")


def _why_not_bound(endpoint: str, error: OSError) -> str:
    reason = {
        errno.EADDRINUSE: "is in use by another program; stop that one or choose another port",
        errno.EACCES: "needs a port of 1024 or more, or the right to use a lower one",
        errno.EADDRNOTAVAIL: "is no address of this machine",
    }.get(error.errno or 0, f"can't be bound ({error.strerror})")
    return f"--web (web.endpoint) {endpoint} {reason}"


def _own_address() -> str:
    """An address that other machines reach this one at, as far as the routes tell; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _tls(web: Web) -> ssl.SSLContext | None:
    if not web.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(web.certificate, web.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"web.certificate {web.certificate} and web.key {web.key} are no certificate and its key ({error.strerror})"
        ) from None
    return context


def read_token(path: str) -> str:
    """The first line of a file; "" for no file."""
    if not path:
        return ""
    try:
        token = (Path(path).read_text().splitlines() or [""])[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"web.metrics_token {path}: can't be read ({error})") from None
    if len(token) < 16:
        raise ConfigError(f"web.metrics_token {path}: its first line has {len(token)} characters; needs 16 or more")
    return token
