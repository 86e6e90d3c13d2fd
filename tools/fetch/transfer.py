"""From one address to the bytes of a file, over HTTP: what breaks off goes on. Proxies come by environment."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import httpx2
from rich.progress import Progress

from stream.errors import CheckpointError
from stream.settings.secrets import redact
from stream.weights.published import Checkpoint, readable
from tools.fetch.disk import GZIP_START, FetchError, check_room, explained, write

TIMEOUT_S = 30.0  # of the connection, and of each wait for more
TRIES = 5  # in a row that bring less than ...
WORTH_IT = 1 << 20  # ... so many bytes each; then the fetch gives up
BACKOFF_S, BACKOFF_MAX_S = 1.0, 30.0  # between tries: doubles
_TEXT = re.compile(rb"\s*(<|\{|version https://git-lfs)")  # a page, an error in JSON, the pointer of a large file
_BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers that may be another one a moment later
_REFUSED = {401: "the server wants a login", 403: "the server refuses it", 404: "no such file on the server"}


class Origin(NamedTuple):
    """What the bytes that came so far are part of."""

    url: str = ""
    validator: str = ""  # strong ETag or date of the file: another one is another file
    total: int = 0  # bytes; 0: the server did not say


@dataclass
class Transfer:
    """The bytes of a file that came so far, in `part`; `origin_file` says what they are part of."""

    checkpoint: Checkpoint
    part: Path
    origin_file: Path  # JSON of the Origin
    bar: Progress  # its one task is told how many bytes are there, its console what happens
    sleep: Callable[[float], object]

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        """Forget what came."""
        self.part.unlink(missing_ok=True)
        self.origin_file.unlink(missing_ok=True)

    def run(self, url: str) -> None:
        """Leave the whole file in `part`. CheckpointError: can't be had here; FetchError: it broke off half-way."""
        headers = {"User-Agent": "sam-pt-live", "Accept-Encoding": "identity"}  # packed bytes could not be continued
        try:
            with httpx2.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as client:
                self._persist(client, url, redact(url))
        except (httpx2.TooManyRedirects, httpx2.InvalidURL, ImportError, ValueError) as error:  # or a proxy's address
            raise CheckpointError(f"{redact(url)} can't be fetched ({error})") from None

    def _persist(self, client: httpx2.Client, url: str, shown: str) -> None:
        """Try until all is there, as long as that brings something."""
        idle = 0  # tries in a row that brought nothing to speak of
        while True:
            before = self.size
            try:
                return self._try(client, url, shown)
            except httpx2.TransportError as error:
                why = f"{shown}: {_in_words(error)}"
            idle = 0 if self.size - before >= WORTH_IT else idle + 1
            if idle == TRIES:
                partial_file = f"{readable(self.size)} are kept, the same command goes on from there"
                kind, rest = (FetchError, partial_file) if self.size else (CheckpointError, "try again later")
                raise kind(f"{why}, {TRIES} times in a row; {rest}")
            wait_s = min(BACKOFF_S * 2 ** (idle - 1), BACKOFF_MAX_S) if idle else 0.0
            self.bar.console.print(f"{why}; going on in {wait_s:g} s")
            self.sleep(wait_s)

    def _try(self, client: httpx2.Client, url: str, shown: str) -> None:
        """Ask for what is missing and write what comes."""
        origin = Origin()
        with contextlib.suppress(OSError, ValueError, TypeError):
            origin = Origin(*json.loads(self.origin_file.read_text()))
        size = self.size if origin.url == shown else 0  # other bytes than this address' are not continued
        if size and size == origin.total:
            return  # nothing is missing; the check says whether it is the file
        wanted = {"Range": f"bytes={size}-", "If-Range": origin.validator}
        headers = {name: value for name, value in wanted.items() if size and value}
        with client.stream("GET", url, headers=headers) as response:
            self._receive(response, shown, size, origin)

    def _receive(self, response: httpx2.Response, shown: str, size: int, origin: Origin) -> None:
        """Write what comes, where it goes on after `size` bytes of `origin` or starts from the beginning."""
        code, header, (offset, total) = response.status_code, response.headers.get, _extent(response)
        tag = header("ETag", "W/")  # a weak one may stand for other bytes
        offered = Origin(shown, header("Last-Modified", "") if tag.startswith("W/") else tag, total)
        if offset and (offset != size or any(a and b and a != b for a, b in zip(origin, offered, strict=True))):
            self.discard()
            raise httpx2.ReadError("the server's file has changed")
        if code == 416:
            return  # the server has no more than this
        if code in _BUSY:
            raise httpx2.ReadError(f"the server is busy (HTTP {code})")
        if not response.is_success:
            reason = _REFUSED.get(code, "the server can't serve it")
            raise CheckpointError(f"{shown}: {reason} (HTTP {code}); another address can be given by --url")
        blocks, head, came = response.iter_raw(), b"", offset
        while not offset and len(head) < 64 and (block := next(blocks, b"")):  # enough to tell weights from a page
            head += block
        if (page := "html" in header("Content-Type", "")) or _TEXT.match(head):
            what = "a page (HTML)" if page else f"text ({head[:24]!r})"
            what += " instead of weights; a login page of the network, or the address has changed"
            raise CheckpointError(f"{shown} gave {what}: open it in a browser, or give another by --url")
        whole = total if offset or head.startswith(GZIP_START) else self.checkpoint.size  # an archive has its own
        if total and whole and total != whole:
            sizes = f"{total:,} bytes instead of {whole:,}"
            raise CheckpointError(f"{shown} is not the published {self.checkpoint.file}: {sizes}")
        check_room(self.part.parent, max(total - offset, 0))
        if size and not offset:
            self.bar.console.print(f"{shown}: the server starts from the beginning")
        with explained(self.part):
            self.origin_file.write_text(json.dumps(offered))
        with contextlib.suppress(httpx2.RemoteProtocolError):  # the body ended early: said below, with numbers
            for came in write(self.part, chain([head], blocks), append=offset > 0):
                self.bar.update(self.bar.task_ids[0], completed=came, total=total or None)
            if came >= whole:
                return
        raise httpx2.ReadError(f"the connection broke after {readable(came)} of {readable(whole)}")


def _in_words(error: httpx2.TransportError) -> str:
    """What broke; CheckpointError where trying again would be of no use."""
    reason: BaseException = error
    while reason.__context__ is not None:  # httpx wraps the system's own error
        reason = reason.__context__
    if isinstance(error, httpx2.TimeoutException):
        return f"nothing came for {TIMEOUT_S:g} s"
    if isinstance(error, (httpx2.ReadError, httpx2.RemoteProtocolError)) or isinstance(reason, ConnectionResetError):
        return str(error) or "the connection broke"
    what = ": the name can't be resolved" if isinstance(reason, socket.gaierror) else " can't be reached"
    what = f"{error.request.url.netloc.decode()}{what} ({getattr(reason, 'strerror', None) or reason})"
    advice = "is there a network, or a proxy to be named in $https_proxy? If not, --offline says where to put the file"
    raise CheckpointError(f"{what}; {advice}")


def _extent(response: httpx2.Response) -> tuple[int, int]:
    """Where the bytes that come begin in the file, and its size (0: unknown)."""
    found = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d*)", response.headers.get("Content-Range", ""))
    if found and response.status_code in (206, 416):
        return int(found[1] or found[2] or 0), int(found[2] or 0)
    return 0, int(response.headers.get("Content-Length", 0))
