"""What a config sends to other systems: whether the broker, the receivers and the RTSP servers are there and answer."""

from __future__ import annotations

import importlib.util
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tools.doctor.findings import Finding, ok, problem

if TYPE_CHECKING:
    from stream.settings.config import Config

ANSWER_S = 5.0  # for a name to be found, a connection to be taken, a greeting to be answered: each
LONGEST_REPLY = 64 << 10  # bytes; an RTSP server's answer has some hundred
RTSP_PORT, HTTP_PORTS = 554, {"http": 80, "https": 443}
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})[^\r\n]*")
_METHODS = re.compile(rb"^Public:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


def mqtt(config: Config) -> Iterator[Finding]:
    """Whether the broker lets us in."""
    from stream.settings.integrations import broker_of

    own = config.mqtt
    if not own.url:
        return
    host, port, *_ = broker_of(own)
    place = f"{host}:{port}"
    if reason := why_not_reached(host, port):
        yield problem("mqtt", f"no broker at {place} ({reason})", "start it, or mend mqtt.url; the run goes on without")
        return
    if importlib.util.find_spec("aiomqtt") is None:
        return  # the packages say so
    from nodes.mqtt.trial import why_not_let_in

    if reason := why_not_let_in(own, ANSWER_S):
        tls = ", or mqtt.ca" if own.url.startswith("mqtts:") else ", or take mqtts://"
        mend = f"mend the user and the password in mqtt.url{tls}"
        yield problem("mqtt", f"the broker at {place} does not let us in ({reason})", mend)
    else:
        yield ok("mqtt", f"the broker at {place} lets us in")


def webhooks(config: Config) -> Iterator[Finding]:
    """Whether each receiver takes a connection; no event is sent."""
    for url in config.webhooks.urls:  # their secret is there, and long enough: else the config is refused
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTP_PORTS[parts.scheme]
        if reason := why_not_reached(host, port, tls=parts.scheme == "https"):
            mend = "start it, or mend webhooks.urls; events wait for it in a queue"
            yield problem("webhooks", f"no receiver at {host}:{port} ({reason})", mend)
        else:
            yield ok("webhooks", f"{host}:{port} takes connections; requests are signed with webhooks.secret")


def pushes(config: Config) -> Iterator[Finding]:
    """Whether each RTSP server takes streams."""
    from stream.settings.cameras import camera_configs

    for name, own in camera_configs(config).items():
        if not own.renderer.rtsp_push:
            continue
        parts = urlsplit(own.renderer.rtsp_push)
        host, port = parts.hostname or "", parts.port or RTSP_PORT
        yield _push(f"{name}: ", host, port, parts.path)


def _push(camera: str, host: str, port: int, path: str) -> Finding:
    if reason := why_not_reached(host, port):
        mend = "start it, or mend renderer.rtsp_push; the run goes on without"
        return problem("push", f"{camera}no server at {host}:{port} ({reason})", mend)
    answer = within(ANSWER_S, lambda: rtsp_options(host, port, path))
    reply = answer if isinstance(answer, bytes) else b""
    status, methods = _STATUS.match(reply), _METHODS.search(reply)
    if status is None:
        return problem("push", f"{camera}{host}:{port} does not speak RTSP", "mend the port in renderer.rtsp_push")
    if methods and b"RECORD" not in methods[1].upper():
        text = f"{camera}{host}:{port} takes no streams (its methods are{methods[1].decode(errors='replace')})"
        return problem("push", text, "name a server that does: MediaMTX, or GStreamer's")
    return ok("push", f"{camera}{host}:{port} speaks RTSP{' and takes streams' if methods else ''}")


def rtsp_options(host: str, port: int, path: str) -> bytes:
    """What an RTSP server answers to OPTIONS; OSError where it does not."""
    shown = f"[{host}]" if ":" in host else host
    question = f"OPTIONS rtsp://{shown}:{port}{path} RTSP/1.0\r\nCSeq: 1\r\n\r\n"  # a password is not needed for it
    with socket.create_connection((host, port), ANSWER_S) as connection:
        connection.sendall(question.encode())
        reply = b""
        while b"\r\n\r\n" not in reply and len(reply) < LONGEST_REPLY and (part := connection.recv(4096)):
            reply += part
    return reply


def why_not_reached(host: str, port: int, *, tls: bool = False) -> str:
    """Why no connection is taken there; empty where one is."""

    def connect() -> None:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            if tls:
                with closing(ssl.create_default_context().wrap_socket(connection, server_hostname=host)):
                    pass

    error = within(2 * ANSWER_S, connect)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {error.verify_message}"
    return "" if error is None else getattr(error, "strerror", None) or str(error) or type(error).__name__


def within(seconds: float, act: Callable[[], object]) -> object:
    """What `act` gives, or the OSError that it raises; TimeoutError after so long, whatever it still waits for."""
    answer: list[object] = [TimeoutError(f"no answer within {seconds:g} s")]

    def run() -> None:
        try:
            answer[0] = act()
        except (OSError, ValueError) as error:
            answer[0] = error

    thread = threading.Thread(target=run, daemon=True)  # looking for a name knows no time-out
    thread.start()
    thread.join(seconds)
    return answer[0]
