"""Sends what waits for one receiver, in a thread of its own, so that none waits for another."""

from __future__ import annotations

import base64
import http.client
import logging
import ssl
import threading
import time
from urllib.parse import unquote, urlsplit

from nodes.webhooks.letters import Letter, signed_headers
from nodes.webhooks.queue import AGAIN, ReceiverQueue, outcome_of
from stream.settings.integrations import Webhooks, key_of

log = logging.getLogger(__name__)

IDLE_S = 1.0
LAST_WORDS_S = 1.0  # for what waits when the run ends


class Sender:
    """One receiver."""

    def __init__(self, url: str, own: Webhooks) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2]  # for logs: the rest of an address may be a secret
        self.queue = ReceiverQueue(own)
        self._secure = parts.scheme == "https"
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._login = basic_login(parts.username, parts.password)
        self._key = key_of(own.secret)
        self._timeout_s = own.timeout_s
        self._warned = False  # of the outage that lasts
        self._work = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=f"webhook-{self.host}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def add(self, letter: Letter) -> None:
        """Send this, too, when it is its turn."""
        if not self.queue.add(letter):
            log.warning(
                "events for %s give way to newer ones: it has not taken them", self.host, extra={"once_key": self.host}
            )
        self._work.set()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Send what still waits, if the receiver takes it soon, and end."""
        self._ending = True
        self._work.set()
        self._thread.join(LAST_WORDS_S)
        if left := self.queue.abandon():
            log.warning("the run has ended with %d events that %s has not taken", left, self.host)

    def _run(self) -> None:
        while True:
            self._work.clear()
            wait_s = self.queue.wait_s(time.monotonic())
            if self._ending and wait_s != 0.0:
                return
            if wait_s == 0.0:
                self._attempt()
            else:
                self._work.wait(IDLE_S if wait_s is None else min(wait_s, IDLE_S))

    def _attempt(self) -> None:
        letter = self.queue.take()
        wish_s, answered = 0.0, False
        try:
            status, headers = self._post(letter)
        except (OSError, http.client.HTTPException, ValueError) as error:
            outcome, reason = AGAIN, getattr(error, "strerror", None) or str(error) or type(error).__name__
        else:
            outcome, answered = outcome_of(status), True
            reason = "" if 200 <= status < 300 else answer_text(status, headers)
            wish_s = retry_after_s(headers)
        given_up = self.queue.report(outcome, time.monotonic(), reason, answered=answered, wish_s=wish_s)
        if given_up:
            log.warning("event %s is a dead letter: %s %s", letter.id, self.host, reason, extra={"once_key": "dead"})
        elif outcome == AGAIN:
            level = logging.DEBUG if self._warned else logging.WARNING
            log.log(level, "%s takes no events (%s); they wait, and it is tried again", self.host, reason)
        elif self._warned:
            log.info("%s takes events again; %d wait", self.host, len(self.queue))
        self._warned = outcome == AGAIN

    def _post(self, letter: Letter) -> tuple[int, http.client.HTTPMessage]:
        """Send it over a connection of its own; the receiver's answer."""
        if self._secure:
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, timeout=self._timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(self.host, timeout=self._timeout_s)
        try:
            headers = signed_headers(letter, self._key, round(time.time()))
            connection.request("POST", self._target, letter.body, {**headers, **self._login, "Connection": "close"})
            response = connection.getresponse()  # what it says beyond the status is not read
            return response.status, response.headers
        finally:
            connection.close()


def basic_login(user: str | None, password: str | None) -> dict[str, str]:
    """The header for the user and password of an address; none where it has none."""
    if user is None:
        return {}
    plain = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}


def answer_text(status: int, headers: http.client.HTTPMessage) -> str:
    """An answer in words; an address is not followed: who answers must not choose where events go."""
    if 300 <= status < 400:
        place = urlsplit(headers.get("Location", ""))
        return f"answers {status}, redirected to {place.scheme}://{place.netloc}: redirects are not followed"
    return f"answers {status}"


def retry_after_s(headers: http.client.HTTPMessage) -> float:
    """How long a receiver wants to be left alone; 0 where it does not say, or names a date."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0
