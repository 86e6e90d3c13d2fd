"""The connection to the broker, in an event loop and a thread of its own: it connects, sends what waits, and again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
import time

import aiomqtt

from nodes.mqtt.names import OFFLINE, Names
from nodes.mqtt.outbox import Outbox, Publication
from stream.backoff import Backoff
from stream.errors import ConfigError
from stream.settings.integrations import Mqtt, broker_of

log = logging.getLogger(__name__)
quiet = logging.getLogger(f"{__name__}.aiomqtt")  # what it has to say comes as errors, too
quiet.setLevel(logging.CRITICAL)

ANSWER_S = 5.0  # for the broker to answer
KEEPALIVE_S = 15
# short, so that a broker that is back has all of it within 5 s
BACKOFF_S, BACKOFF_MAX_S, JITTER, HEALTHY_S = 0.5, 3.0, 0.2, 30.0
AT_ONCE = 8  # messages that wait for the broker's answer together; beyond 10 aiomqtt complains
LAST_WORDS_S = 1.5  # to say that the run has ended


class BrokerClient:
    """Everything but `start` and `close` happens in its own thread."""

    def __init__(self, own: Mqtt, names: Names, outbox: Outbox) -> None:
        self.connected = False
        self.connections = 0
        self.published = 0  # messages that the broker has taken
        self._own = own
        self._names = names
        self._outbox = outbox
        self._host, self._port, self._user, self._password = broker_of(own)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work = asyncio.Event()  # there is something to send, or the end has come
        self._ending = False
        self._warned = False  # of the outage that lasts
        self._thread = threading.Thread(target=self._run, name="mqtt-client", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._outbox.call_on_change(self._wake)
        self._thread.start()

    def close(self) -> None:
        """Send what still waits, if the broker takes it soon, and end."""
        self._ending = True
        self._wake()
        self._thread.join(LAST_WORDS_S)

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def _wake(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._work.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("the MQTT client failed")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        backoff = Backoff(BACKOFF_S, BACKOFF_MAX_S, JITTER, HEALTHY_S)
        while not self._ending:
            began_s = time.monotonic()
            try:
                async with self._make_client() as client:
                    self._begin()
                    await self._stay(client)
            except (aiomqtt.MqttError, OSError, ValueError) as error:  # ssl's errors are OSErrors
                self._lose(error)
            finally:
                self.connected = False
            backoff.healthy(time.monotonic() - began_s)
            await self._pause(backoff.next_wait())

    def _make_client(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password,
            identifier=self._names.client_id,
            logger=quiet,
            will=aiomqtt.Will(self._names.run_availability, OFFLINE, qos=1, retain=True),
            timeout=ANSWER_S,
            keepalive=KEEPALIVE_S,
            tls_context=tls_context(self._own),
        )

    def _begin(self) -> None:
        self.connected, self._warned = True, False
        self.connections += 1
        self._outbox.begin()
        log.info("connected to the MQTT broker at %s:%d", self._host, self._port)

    def _lose(self, error: Exception) -> None:
        """Say it once an outage: it is tried again for as long as it lasts."""
        level = logging.DEBUG if self._warned or self._ending else logging.WARNING
        log.log(level, "no MQTT broker at %s:%d (%s); it is tried again", self._host, self._port, error)
        self._warned = True

    async def _stay(self, client: aiomqtt.Client) -> None:
        """Send until the end; MqttError where the connection is lost."""
        listening = asyncio.create_task(self._listen(client))  # notices a lost connection while nothing is sent
        sending = asyncio.create_task(self._send(client))
        done, pending = await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for _ in client.messages:
            pass

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._work.clear()
            ending = self._ending  # what has been put there before it is sent still
            while batch := self._outbox.take(AT_ONCE):
                answers = await asyncio.gather(*(self._publish(client, p) for p in batch), return_exceptions=True)
                for publication, answer in zip(batch, answers, strict=True):
                    self._outbox.sent(publication, arrived=answer is None)
                    self.published += answer is None
                for answer in answers:
                    if isinstance(answer, BaseException):
                        raise answer
            if ending:
                return
            await self._work.wait()

    async def _publish(self, client: aiomqtt.Client, publication: Publication) -> None:
        await client.publish(publication.topic, publication.payload, qos=1, retain=publication.retain)

    async def _pause(self, wait_s: float) -> None:
        """Wait so long, or until the end."""
        until_s = time.monotonic() + wait_s
        while not self._ending and (left_s := until_s - time.monotonic()) > 0:
            self._work.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), min(left_s, 0.5))


def check_tls(own: Mqtt) -> None:
    """Refuse files that are no certificates, before anything is started; ConfigError."""
    try:
        tls_context(own)
    except OSError as error:
        files = ", ".join(f"mqtt.{key} {path}" for key in ("ca", "certificate", "key") if (path := getattr(own, key)))
        raise ConfigError(f"{files}: no certificates that TLS can use ({error.strerror or error})") from None


def tls_context(own: Mqtt) -> ssl.SSLContext | None:
    """What TLS needs; None where the broker is spoken to without. OSError for files that are no certificates."""
    if not own.url.startswith("mqtts:"):
        return None
    context = ssl.create_default_context(cafile=own.ca or None)
    if own.certificate:
        context.load_cert_chain(own.certificate, own.key)
    return context
