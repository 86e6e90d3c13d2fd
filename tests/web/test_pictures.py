"""Snapshots and streams: made when somebody asks, once however many do, with the masks drawn in or not."""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
from builders import frame, gray
from renderer.box_masks import box_object, masks_of
from web.served import Page, browse, seen, served

from nodes.web import pictures
from nodes.web.pictures import BurntPictures
from nodes.web.scene_message import WebScene
from stream.messages import Scene
from stream.public_wire.messages import pack_scene


def scene_parts(frame_id=0, size=(60, 80)):
    """A scene of a gray frame with one square object, as the publisher packs it."""
    masks = masks_of(box_object(1, (20, 20, 16, 16)), size=size)
    return pack_scene(Scene(frame=frame(frame_id, rgb=gray(size, 100)), masks=masks), "packbits", 90, 0, frame_id, "ab")


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_masks_are_drawn_into_the_picture_once_for_all_who_ask(monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "encode_jpeg", lambda rgb, quality: drawn.append(rgb) or b"jpeg")
    burnt, scene = BurntPictures(), WebScene(scene_parts())
    assert burnt.burn(scene) == burnt.burn(scene) == b"jpeg"
    (picture,) = drawn
    inside, outside = picture[28, 28].astype(int), picture[5, 5].astype(int)
    assert np.ptp(outside) <= 4
    assert np.abs(inside - outside).max() > 20


def test_a_stream_gives_the_newest_pictures_and_nothing_is_asked_for_once_it_is_closed():
    with served() as it:

        async def part(reader):
            """The next picture of the stream."""
            length = 0
            while (line := await asyncio.wait_for(reader.readline(), 30)) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            picture = await asyncio.wait_for(reader.readexactly(length), 30)
            await reader.readline()
            return picture

        async def work(session):
            for query, tinted in (("", True), ("?masks=0", False)):
                async with session.get(it.url + "mjpeg/camera" + query) as response:
                    assert response.status == 404  # another camera's name
                async with session.get(it.url + "mjpeg/door" + query) as response:
                    assert response.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=frame"
                    await seen(lambda: it.looked_at)
                    for number in range(3):
                        parts = [p.replace(b'"camera":"camera"', b'"camera":"door"') for p in scene_parts(number)]
                        it.listener.publish([b"scenes/door", *parts[1:]])
                        picture = decoded(await part(response.content))
                        assert picture.shape == (60, 80, 3)
                        spread = np.ptp(picture[28, 28].astype(int))
                        assert (spread > 20) == tinted
                await seen(lambda: not it.looked_at)

        browse(work, it.link)


def test_a_snapshot_says_when_no_frame_comes(monkeypatch):
    from nodes.web.http import program_handlers

    monkeypatch.setattr(program_handlers, "SNAPSHOT_S", 0.2)
    with served() as it:

        async def work(session):
            async with session.get(it.url + "snapshot/door.jpg") as response:
                assert (response.status, await response.text()) == (503, "no frame came within 0.2 s\n")

        browse(work, it.link)


def test_a_snapshot_of_a_paused_run_is_what_its_pages_show():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera="door")
                await seen(lambda: it.looked_at)
                it.publish_scene(7)
                await page.sees()
                it.publish_status(state="paused")
                assert (await page.hears("status"))["status"]["state"] == "paused"
                async with session.get(it.url + "snapshot/door.jpg") as response:
                    assert response.status == 200
                    assert decoded(await response.read()).shape == (60, 80, 3)

        browse(work, it.link)
