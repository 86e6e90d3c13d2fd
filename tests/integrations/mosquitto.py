"""A real MQTT broker for tests, and somebody who watches what it carries."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import reserved_port, until

FOUND = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Broker:
    """mosquitto, which can be stopped and started; it keeps nothing on disk, as after a lost volume."""

    def __init__(self, folder: Path, port: int, lines: tuple[str, ...]) -> None:
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"
        self._config = folder / f"mosquitto-{port}.conf"
        access = [] if any(line.startswith("password_file") for line in lines) else ["allow_anonymous true"]
        # As root it would become a user who can't read the files of a test.
        whole = [f"user {getpass.getuser()}", f"listener {port} 127.0.0.1", *access, *lines, ""]
        self._config.write_text("\n".join(whole))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        assert FOUND is not None
        self._process = subprocess.Popen(
            [FOUND, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers, "mosquitto")

    def stop(self) -> None:
        """Kill it: no goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "mosquitto does not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Watcher:
    """Subscribes to everything, again with each connection; what it sees after one is what a newcomer would see."""

    def __init__(self, broker: Broker, user: str = "", password: str = "", ca: str = "") -> None:
        from paho.mqtt import client as paho

        self.retained: dict[str, bytes] = {}  # as the broker has kept it since this connection began
        self.live: list[tuple[str, bytes]] = []  # what was published while it was connected, in order
        self._lock = threading.Lock()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        if user:
            self._client.username_pw_set(user, password)
        if ca:
            self._client.tls_set(ca)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        # An event is not kept: who asks for it before the broker has taken the subscription never sees it.
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        try:
            until(subscribed.is_set, "the subscription")
        except BaseException:
            self.close()
            raise

    def _on_connect(self, client: Any, *_: Any) -> None:
        with self._lock:
            self.retained.clear()
        client.subscribe("#", 1)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        with self._lock:
            if not message.retain:
                self.live.append((message.topic, message.payload))
            # What is published to who is connected already comes without the mark; topics of events are not kept.
            if not message.topic.endswith("/events"):
                self.retained[message.topic] = message.payload
                if not message.payload:
                    del self.retained[message.topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def start_mosquitto(folder: Path, *lines: str) -> Iterator[Broker]:
    """A broker on a free port, its own until the block ends; `lines` are added to its config."""
    if FOUND is None:
        pytest.skip("NO MQTT TEST WAS RUN: mosquitto is not there; apt-get install mosquitto")
    with ExitStack() as stack:
        broker = Broker(folder, stack.enter_context(reserved_port()), lines)
        stack.callback(broker.stop)
        broker.start()
        yield broker


@contextmanager
def watch(broker: Broker, **keys: str) -> Iterator[Watcher]:
    """Somebody who sees all that the broker carries."""
    watcher = Watcher(broker, **keys)
    try:
        yield watcher
    finally:
        watcher.close()
