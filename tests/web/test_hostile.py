"""Hostile clients, a small part of `make load`: the server answers others meanwhile, counts them, and takes no harm."""

from __future__ import annotations

import asyncio

import pytest
from web.hostile import FOREIGN_HTTP, MALFORMED_HTTP, Hostile
from web.served import Page, browse, served
from web.test_metrics import scrape

from nodes.web.http import limited_server


async def counted(session, it, name, **labels):
    return (await scrape(session, it))[0].get((name, tuple(sorted(labels.items()))), 0.0)


def attack(work, **web):
    """Attack a server while a session of somebody who behaves is open."""
    with served(**web) as it:

        async def run(session):
            cookie = "; ".join(f"{c.key}={c.value}" for c in session.cookie_jar)
            await work(session, it, Hostile(it.url, cookie))
            async with session.get(it.url) as response:
                assert response.status == 200

        browse(run, it.link)


def test_requests_that_are_none_are_counted_and_others_are_answered():
    async def work(session, it, hostile):
        count = 10 * (len(MALFORMED_HTTP) + len(FOREIGN_HTTP))
        await hostile.malformed_http(count)
        malformed = await counted(session, it, "sam_pt_web_malformed_total", kind="http")
        assert malformed >= 10 * (len(MALFORMED_HTTP) - 2), "a cut body is no malformed request"
        assert await counted(session, it, "sam_pt_web_requests_total", route="index", status="421") == 10
        assert await counted(session, it, "sam_pt_web_requests_total", route="api", status="403") == 10

    attack(work)


def test_the_answer_to_what_is_no_request_has_the_headers_of_all_answers():
    with served() as it:

        async def work(session):
            host, port = it.url.removeprefix("http://").rstrip("/").split(":")
            for junk in (b"FOO\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01\r\n\r\n"):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(junk)
                answer = await reader.read()
                assert answer.split()[1] == b"400"
                assert b"Content-Security-Policy: default-src 'none'" in answer
                assert b"X-Content-Type-Options: nosniff" in answer
                assert b"aiohttp" not in answer
                writer.close()

        browse(work)


def test_messages_that_are_none_are_counted_and_a_page_that_behaves_stays():
    async def work(session, it, hostile):
        async with session.ws_connect(it.url + "ws") as socket:
            page = Page(socket)
            await page.hears("welcome")
            sent = await hostile.malformed_messages(200)
            assert await counted(session, it, "sam_pt_web_malformed_total", kind="websocket") == sent
            assert await counted(session, it, "sam_pt_web_pages_closed_total") == sent / 5
            await page.say("ping", t=5)
            assert (await page.hears("pong"))["t"] == 5

    attack(work)


def test_a_request_that_is_too_long_is_refused_before_it_is_read():
    async def work(session, it, hostile):
        answers = (await hostile.big_request(20_000_000)).split()
        # The second may be cut off while it is still sending, as it should be.
        assert set(answers) <= {"413", ""}
        refused = await counted(session, it, "sam_pt_web_requests_total", route="api", status="413")
        assert refused == 2

    attack(work)


def test_connections_that_say_nothing_make_room_for_who_comes(monkeypatch):
    monkeypatch.setattr(limited_server, "MAX_CONNECTIONS", 20)

    async def work(session, it, hostile):
        holding = asyncio.ensure_future(hostile.connections(60, 1.0))
        while await counted(session, it, "sam_pt_web_connections_refused_total") < 40:
            pass  # each of these questions is answered, too
        assert await holding == 60

    attack(work)


def test_a_request_that_comes_letter_by_letter_is_cut_off(monkeypatch):
    monkeypatch.setattr(limited_server, "IDLE_S", 1.0)

    async def work(session, it, hostile):
        assert await hostile.slow_loris(5, 30.0) == 5

    attack(work)


def test_who_sends_requests_and_reads_no_answer_is_held_back():
    async def work(session, it, hostile):
        assert await hostile.pipelined(20_000) < 20_000

    attack(work)


def test_there_are_only_so_many_viewers():
    async def work(session, it, hostile):
        async with session.ws_connect(it.url + "ws"), session.ws_connect(it.url + "ws"):
            async with session.get(it.url + "mjpeg/door") as response:
                assert response.status == 503
            with pytest.raises(Exception, match="503"):
                await session.ws_connect(it.url + "ws")

    attack(work, max_viewers=2)


def test_a_page_that_asks_for_too_much_is_told_so():
    async def work(session, it, hostile):
        it.control.reply = lambda request: None  # the run never answers
        async with session.ws_connect(it.url + "ws") as socket:
            page = Page(socket)
            for number in range(20):
                await page.say("request", id=number, method="stats", params={})
            refused = await page.hears("reply")
            assert refused["error"]["code"] == "too_many_requests"

    attack(work)


def test_a_page_that_sends_messages_without_end_is_closed():
    async def work(session, it, hostile):
        socket = await session.ws_connect(it.url + "ws")

        async def flood():
            while True:
                await Page(socket).say("ack")

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), 60)
        assert await counted(session, it, "sam_pt_web_pages_closed_total") == 1

    attack(work)
