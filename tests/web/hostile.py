"""Clients of the page's server that mean it no good; as a program: `hostile.py URL COOKIE [SHARE]` does all of it.

    ten thousand malformed requests and WebSocket messages, a request of 100 MB, 500 connections, a slow loris

SHARE scales the numbers. It prints what it has done, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Awaitable
from typing import Any

import aiohttp

MALFORMED_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS where none is spoken
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GE\x00T / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon here\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X%d: y\r\n" % i for i in range(500)) + b"\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
)
FOREIGN_HTTP = (
    b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"DELETE /api/shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /api/shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /static/../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)
MALFORMED_TEXTS = ("", "{", "[]", "null", '"look"', '{"type":7}', '{"type":"dance"}', '{"type":"look","camera":{}}',
                   '{"type":"request"}', '{"type":"request","id":[],"method":"stats"}', "[" * 5000,
                   '{"type":"look","camera":"no such camera"}', '{"type":"ping","t":"' + "x" * 5000 + '"}')  # fmt: skip
PATIENCE_S = 60.0


class Hostile:
    """Attacks on one server; each returns how much of it was done."""

    def __init__(self, url: str, cookie: str) -> None:
        self.url = url
        self.cookie = cookie
        self.host, port = url.removeprefix("http://").rstrip("/").split(":")
        self.port = int(port)

    async def malformed_http(self, count: int, at_once: int = 20) -> int:
        """Requests that are none, and some that are not for them."""
        requests = (*MALFORMED_HTTP, *FOREIGN_HTTP)
        await _several([self._raw(requests[i % len(requests)]) for i in range(count)], at_once)
        return count

    async def malformed_messages(self, count: int) -> int:
        """WebSocket messages that are none, over as many connections as it takes."""
        noise = random.Random(0)
        sent = 0
        async with aiohttp.ClientSession(headers={"Cookie": self.cookie}) as session:
            while sent < count:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    async with session.ws_connect(self.url + "ws", autoclose=False) as socket:
                        for _ in range(5):
                            if sent % 2:
                                await socket.send_str(noise.choice(MALFORMED_TEXTS))
                            else:
                                await socket.send_bytes(noise.randbytes(noise.randrange(200)))
                            sent += 1
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.CLOSE:
                                break
        return sent

    async def big_request(self, size: int) -> str:
        """One request that is far too long, once with its length told and once without; what it was answered."""
        heads = (
            f"Content-Length: {size}\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n",
        )
        answers = []
        for head in heads:
            reader, writer = await asyncio.open_connection(self.host, self.port)
            begin = f"POST /api/list_objects HTTP/1.1\r\nHost: {self.host}\r\nCookie: {self.cookie}\r\nX-SAM-PT: 1\r\n"
            writer.write((begin + head).encode())
            block = bytes(1 << 16)
            with contextlib.suppress(ConnectionError):
                for _ in range(size // len(block)):
                    writer.write(block if "Content" in head else b"10000\r\n" + block + b"\r\n")
                    await asyncio.wait_for(writer.drain(), PATIENCE_S)
            with contextlib.suppress(ConnectionError):
                answers.append((await reader.readline()).decode().partition(" ")[2][:3])
            writer.close()
        return " ".join(answers)

    async def connections(self, count: int, hold_s: float) -> int:
        """Connections that say nothing."""
        opened = await asyncio.gather(
            *(asyncio.open_connection(self.host, self.port) for _ in range(count)), return_exceptions=True
        )
        await asyncio.sleep(hold_s)
        for each in opened:
            if not isinstance(each, BaseException):
                each[1].close()
        return sum(not isinstance(each, BaseException) for each in opened)

    async def slow_loris(self, count: int, hold_s: float) -> int:
        """Connections that send a request letter by letter; how many of them the server has closed by itself."""
        return sum(await asyncio.gather(*(self._drip(hold_s) for _ in range(count))))

    async def pipelined(self, count: int) -> int:
        """Requests one after the other without reading an answer."""
        _, writer = await asyncio.open_connection(self.host, self.port)
        request = f"GET /static/main.js HTTP/1.1\r\nHost: {self.host}\r\nX: {'x' * 2000}\r\n\r\n".encode()
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            for _ in range(count):
                writer.write(request)
                await asyncio.wait_for(writer.drain(), 2.0)
                sent += 1
        writer.transport.abort()
        return sent

    async def _drip(self, hold_s: float) -> bool:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        end = asyncio.get_running_loop().time() + hold_s
        letters = f"GET / HTTP/1.1\r\nHost: {self.host}\r\nX: ".encode() + b"a" * 10_000
        try:
            for letter in letters:
                writer.write(bytes([letter]))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    if await asyncio.wait_for(reader.read(1), 0.5) == b"":
                        return True
                if asyncio.get_running_loop().time() > end:
                    return False
        except ConnectionError:
            return True
        finally:
            writer.close()
        return False

    async def _raw(self, request: bytes) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                writer.write(request)
                if writer.can_write_eof():
                    writer.write_eof()
                await asyncio.wait_for(reader.read(1 << 16), PATIENCE_S)
            finally:
                writer.close()


async def _several(work: list[Awaitable[None]], at_once: int) -> None:
    room = asyncio.Semaphore(at_once)

    async def one(each: Awaitable[None]) -> None:
        async with room:
            await each

    await asyncio.gather(*(one(each) for each in work))


async def everything(url: str, cookie: str, share: float) -> dict[str, Any]:
    """All attacks, one after the other."""
    hostile = Hostile(url, cookie)
    return {
        "malformed_http": await hostile.malformed_http(round(10_000 * share)),
        "malformed_messages": await hostile.malformed_messages(round(10_000 * share)),
        "big_request": await hostile.big_request(round(100e6 * share)),
        "connections": await hostile.connections(round(500 * share), 5.0 * share),
        "slow_loris": await hostile.slow_loris(round(100 * share), 25.0),
        "pipelined": await hostile.pipelined(round(20_000 * share)),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(everything(sys.argv[1], sys.argv[2], float((*sys.argv, "1")[3])))))
