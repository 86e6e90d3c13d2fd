"""The WebSocket of a page: pairs of picture and masks, the newest first, and no more than two on the way."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
from web.served import Page, browse, seen, served


def test_a_page_gets_the_header_the_masks_and_the_picture_of_one_frame_in_one_message():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                welcome = await page.hears("welcome")
                assert (welcome["role"], welcome["cameras"], welcome["version"]) == ("operator", ["door"], 1)
                await page.say("look", camera="door", max_width=None)
                await seen(lambda: it.looked_at)
                parts = it.publish_scene(7)
                header, payloads = await page.sees()
                assert header.pop("payload_bytes") == [len(p) for p in parts[2:]]
                assert header == json.loads(parts[1])
                assert payloads == parts[2:]

        browse(work, it.link)


def test_scenes_are_asked_for_only_while_somebody_looks():
    with served() as it:

        async def work(session):
            assert not it.looked_at
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera="door", max_width=None)
                await seen(lambda: it.looked_at)
                await page.say("look", camera=None)
                await seen(lambda: not it.looked_at)
                await page.say("look", camera="door")
                await seen(lambda: it.looked_at)
            await seen(lambda: not it.looked_at)

        browse(work, it.link)


def test_a_third_scene_waits_for_an_acknowledgement():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera="door", max_width=None)
                await seen(lambda: it.looked_at)
                for frame_id in (1, 2):
                    it.publish_scene(frame_id)
                    assert (await page.sees())[0]["frame_id"] == frame_id
                it.publish_scene(3)
                await page.say("ack")
                assert (await page.sees())[0]["frame_id"] == 3
                it.publish_status(state="running")
                status = await page.hears("status")
                assert status["viewer"] == {"sent": 3, "dropped": 0, "viewers": 1}
                assert status["status"] == {"state": "running"}

        browse(work, it.link)


def test_a_smaller_picture_is_made_on_demand_and_its_masks_stay_as_they_are():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera="door", max_width=400)
                await seen(lambda: it.looked_at)
                parts = it.publish_scene(50, size=(360, 640))
                header, payloads = await page.sees()
                assert (header["width"], header["height"]) == (640, 360)
                assert header["picture"] == {"payload": 1, "codec": "jpeg", "width": 320, "height": 180}
                assert payloads[0] == parts[2]
                picture = cv2.imdecode(np.frombuffer(payloads[1], np.uint8), cv2.IMREAD_COLOR)
                assert picture.shape == (180, 320, 3)
                assert abs(int(picture.mean()) - 50) <= 2

        browse(work, it.link)


def test_a_request_goes_to_the_run_and_its_reply_comes_back_with_its_id():
    with served() as it:
        it.control.reply = lambda request: {"result": {"object_id": 4}}

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("request", id=7, method="add_object", params={"points": [[3, 4]]})
                reply = await page.hears("reply")
                assert reply == {"type": "reply", "id": 7, "result": {"object_id": 4}}

        browse(work, it.link)
        assert [(r["method"], r["params"]) for r in it.control.requests] == [("add_object", {"points": [[3, 4]]})]


def test_a_ping_brings_the_servers_clock():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("ping", t={"any": [1.5]})
                pong = await page.hears("pong")
                assert pong["t"] == {"any": [1.5]}
                assert abs(pong["unix_ms"] / 1e3 - time.time()) < 60

        browse(work, it.link)


def test_a_page_that_sends_what_is_no_message_is_closed_after_a_few():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                for text in ("{", "[]", '{"type":"dance"}', '{"type":"look","camera":5}'):
                    await socket.send_str(text)
                await page.say("ping", t=1)
                assert (await page.hears("pong"))["t"] == 1
                await socket.send_bytes(b"\xff\xff\xff\xff")
                assert await page.is_closed() == 1008

        browse(work, it.link)


def test_pages_are_told_when_the_run_is_silent_and_when_it_has_ended():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                assert (await page.hears("silence"))["since_s"] >= 3
                it.publish_status(state="running")
                await page.hears("status")
                it.server.stop("the run has ended")
                assert (await page.hears("ended"))["reason"] == "the run has ended"

        browse(work, it.link)
