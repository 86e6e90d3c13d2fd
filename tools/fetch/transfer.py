"""One address to one file: an HTTP transfer that goes on where the last one broke off. Proxies come by environment."""

from __future__ import annotations

import email.message
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from stream.errors import CheckpointError
from stream.settings.addresses import redact
from stream.weights.published import Checkpoint, readable
from tools.fetch.checking import GZIP_START, FetchError, is_text
from tools.fetch.part import Origin, Part, check_room
from tools.fetch.progress import Progress

TIMEOUT_S = 30.0  # of the connection, and of each wait for more
TRIES = 5  # in a row that bring less than ...
WORTH_IT = 1 << 20  # ... so many bytes each; then the fetch gives up
BACKOFF_S, BACKOFF_MAX_S = 1.0, 30.0  # between tries: doubles
BLOCK = 1 << 20
HEAD = 64  # bytes that tell weights from a page
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another one a moment later


class BrokenError(Exception):
    """The connection broke, or the server is busy: the same again may work."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s  # what the server asks for


class Transfer:
    """Bring `url` into `part`."""

    def __init__(
        self,
        url: str,
        part: Part,
        checkpoint: Checkpoint,
        progress: Progress,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.url = url
        self.shown = redact(url)
        self.part = part
        self.checkpoint = checkpoint
        self.progress = progress
        self.sleep = sleep

    def run(self) -> None:
        """Leave the whole file in `part`. CheckpointError: can't be had here; FetchError: it broke off half-way."""
        idle = 0  # tries in a row that brought nothing to speak of
        while True:
            before = self.part.size
            try:
                self._try()
                return
            except BrokenError as error:
                idle = 0 if self.part.size - before >= WORTH_IT else idle + 1
                if idle == TRIES:
                    raise self._given_up(error) from None
                wait_s = min(max(BACKOFF_S * 2 ** (idle - 1), error.wait_s), BACKOFF_MAX_S) if idle else 0.0
                self.progress.note(f"{self.shown}: {error}; going on" + (f" in {wait_s:g} s" if wait_s else ""))
                self.sleep(wait_s)
            finally:
                self.part.close()

    def _given_up(self, error: BrokenError) -> Exception:
        """What to raise when patience has ended."""
        if not self.part.size:
            return CheckpointError(f"{self.shown}: {error}, {TRIES} times in a row; try again later")
        return FetchError(
            f"{self.shown}: {error}, {TRIES} times in a row; "
            f"{readable(self.part.size)} are kept, the same command goes on from there"
        )

    def _try(self) -> None:
        """Ask for what is missing and write what comes."""
        origin = self.part.origin()
        if origin is not None and origin.url != self.shown:
            origin = None  # another address: it starts anew, but only when its bytes come
        if origin is not None and origin.total and self.part.size >= origin.total:
            return  # nothing is missing; the check says whether it is the file
        try:
            with self._ask(origin) as response:
                self._receive(response, origin)
        except urllib.error.HTTPError as error:
            self._refused(error, origin)
        except urllib.error.URLError as error:
            self._unreachable(error.reason)
        except CheckpointError:  # an OSError, too
            raise
        except (OSError, http.client.HTTPException) as error:
            raise BrokenError(_reason(error)) from None

    def _ask(self, origin: Origin | None) -> http.client.HTTPResponse:
        # identity: a file that is packed for the way could not be continued
        headers = {"User-Agent": "sam-pt-live", "Accept-Encoding": "identity"}
        if origin is not None:
            headers["Range"] = f"bytes={self.part.size}-"
            if origin.validator:
                headers["If-Range"] = origin.validator
        # A new opener: the environment's proxies are read when it is made.
        opener = urllib.request.build_opener()
        response: http.client.HTTPResponse = opener.open(
            urllib.request.Request(self.url, headers=headers), timeout=TIMEOUT_S
        )
        return response

    def _receive(self, response: http.client.HTTPResponse, origin: Origin | None) -> None:
        offset, total = _extent(response)
        offered = Origin(self.shown, _validator(response.headers), total)
        if offset and (origin is None or offset != self.part.size or not _same(origin, offered)):
            self.part.discard()  # not what was asked for, or of another file
            raise BrokenError("the server's file has changed")
        if "html" in response.headers.get_content_type():
            raise self._no_weights("a page (HTML)")
        if origin is not None and not offset:
            self.progress.note(f"{self.shown}: the server starts from the beginning")
        head = b"" if offset else response.read(HEAD)
        if is_text(head):
            raise self._no_weights(f"text ({head[:24]!r})")
        size = 0 if offset or head.startswith(GZIP_START) else self.checkpoint.size  # an archive's size is its own
        if total and size and total != size:
            raise CheckpointError(
                f"{self.shown} is not the published {self.checkpoint.file}: {total:,} bytes instead of {size:,}"
            )
        check_room(self.part.path.parent, max(total - offset, 0))
        self.part.begin(offered, anew=not offset)
        self.progress.start(total, offset)
        block, came = head or response.read1(BLOCK), offset
        while block:
            self.part.write(block)
            came += len(block)
            self.progress.advance(came)
            block = response.read1(BLOCK)
        if came < (total or size):
            raise BrokenError(f"the connection broke after {readable(came)} of {readable(total or size)}")

    def _no_weights(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.shown} gave {what} instead of weights; a login page of the network, or the address has changed: "
            f"open it in a browser, or give another by --url"
        )

    def _refused(self, error: urllib.error.HTTPError, origin: Origin | None) -> None:
        """Tell what an HTTP status means for the user."""
        code, headers = error.code, error.headers
        error.close()
        if code == 416 and origin is not None:
            if _last_number(headers.get("Content-Range", "")) == self.part.size:
                return
            self.part.discard()
            raise BrokenError("the server's file has changed")
        if code in _PASSING:
            asked = headers.get("Retry-After", "")
            raise BrokenError(f"the server is busy (HTTP {code})", float(asked) if asked.isdigit() else 0.0)
        reasons = {
            401: "the server wants a login",
            403: "the server refuses it",
            404: "no such file on the server; published addresses change",
            407: "the proxy wants a login; give it in $https_proxy",
            410: "the file is gone from the server",
        }
        reason = reasons.get(code, "the server can't serve it")
        raise CheckpointError(f"{self.shown}: {reason} (HTTP {code}); another address can be given by --url")

    def _unreachable(self, reason: object) -> None:
        """Tell why no connection came about; some reasons pass by themselves."""
        host = redact(self.shown.split("/")[2].rpartition("@")[2])
        if isinstance(reason, socket.gaierror):
            raise CheckpointError(
                f"{host}: the name can't be resolved ({reason.strerror}); is there a network, or a proxy to be named "
                f"in $https_proxy? Without one, --offline says where to put the file"
            )
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise CheckpointError(f"{host}: its certificate is not trusted ({reason.verify_message})")
        if isinstance(reason, (TimeoutError, ConnectionResetError, ssl.SSLError)):
            raise BrokenError(_reason(reason))
        words = getattr(reason, "strerror", None) or reason
        raise CheckpointError(f"{host} can't be reached ({words}); is there a network, or a proxy in between?")


def _extent(response: http.client.HTTPResponse) -> tuple[int, int]:
    """Where the bytes that come begin in the file, and its size (0: unknown)."""
    content_range = response.headers.get("Content-Range", "")
    if response.status == 206 and (match := re.match(r"bytes (\d+)-", content_range)):
        return int(match[1]), _last_number(content_range)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else 0


def _last_number(content_range: str) -> int:
    """The file's size in `bytes 5-9/10` or `bytes */10`; 0 where it is not said."""
    match = re.search(r"/(\d+)$", content_range)
    return int(match[1]) if match else 0


def _validator(headers: email.message.Message) -> str:
    """What If-Range may hold: a strong ETag, else the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _same(old: Origin, new: Origin) -> bool:
    """Whether both are of one file, as far as the server tells."""
    tags = old.validator == new.validator or not (old.validator and new.validator)
    return tags and (old.total == new.total or not (old.total and new.total))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {TIMEOUT_S:g} s"
    return f"the connection broke ({getattr(error, 'strerror', None) or error or type(error).__name__})"
