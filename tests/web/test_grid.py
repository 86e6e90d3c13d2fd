"""All cameras at once: small pictures now and then, a few words of each, and no more work than that."""

from __future__ import annotations

import json
from collections import Counter

import aiohttp
from web.served import Page, RepliesItself, browse, scene_parts, seen, served

from nodes.web.hub import GRID_S, Hub
from nodes.web.relay import Listening, Requests
from nodes.web.viewers import Viewer

CAMERAS = ("door", "hall", "yard")
SIZE = (360, 640)


def test_the_grid_gets_small_pictures_of_every_camera_and_a_summary_of_each():
    with served(cameras=CAMERAS) as it:

        async def work(session: aiohttp.ClientSession) -> None:
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                assert (await page.hears("welcome"))["cameras"] == list(CAMERAS)
                objects = [{"id": 1, "state": "tracked"}, {"id": 2, "state": "lost"}]
                it.publish_status(
                    camera="hall", state="interrupted", reason="source_lost", retry_in_s=4, objects=objects
                )
                await page.say("look", camera=None, max_width=320, grid=True)
                await seen(lambda: {f"scenes/{camera}" for camera in CAMERAS} <= it.listener.topics)
                for camera in CAMERAS:
                    it.publish_scene(5, size=SIZE, camera=camera)
                pictures = {}
                for _ in CAMERAS:
                    header, _ = await page.sees()
                    pictures[header["camera"]] = (header["picture"]["width"], header["width"])
                    await page.say("ack")
                assert pictures == dict.fromkeys(CAMERAS, (320, 640))
                summaries = (await page.hears("cameras"))["cameras"]
                while summaries["hall"]["state"] is None:
                    summaries = (await page.hears("cameras"))["cameras"]
                assert summaries["hall"] == {
                    "state": "interrupted", "reason": "source_lost", "retry_in_s": 4, "objects": 2, "lost": 1,
                }  # fmt: skip
                assert summaries["door"]["objects"] == 0
                it.publish_status(camera="yard", state="running", sharing={"service_ratio": 0.5})
                while summaries["yard"]["state"] is None:
                    summaries = (await page.hears("cameras"))["cameras"]
                assert summaries["yard"]["service_ratio"] == 0.5

        browse(work, it.link)


def test_whoever_names_a_camera_and_the_grid_has_made_a_mistake():
    with served(cameras=CAMERAS) as it:

        async def work(session: aiohttp.ClientSession) -> None:
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                for _ in range(5):
                    await page.say("look", camera="door", grid=True)
                assert await page.is_closed() == 1008

        browse(work, it.link)


class Wanted(Listening):
    """Notes what is asked for, and listens to nothing."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()

    def want(self, topics: frozenset[str]) -> None:
        self.topics = topics


def test_a_camera_of_the_grid_is_asked_for_a_picture_only_when_it_is_due():
    now, listening = [100.0], Wanted()
    hub = Hub(listening, Requests(RepliesItself()), CAMERAS, 8, clock=lambda: now[0])
    viewer = Viewer("viewer")
    hub.join(viewer)
    assert hub.look(viewer, None, 320, grid=True)
    counts: Counter[str] = Counter()
    for frame_id in range(100):  # of 25 frames/s
        now[0] += 0.04
        hub.choose_topics()
        for camera in CAMERAS[:2]:
            if f"scenes/{camera}" in listening.topics:
                counts[camera] += 1
                hub.take([scene_parts(frame_id, camera=camera)])
                assert f"scenes/{camera}" not in listening.topics
        viewer.to_send.clear()
        viewer.acknowledge()
        viewer.acknowledge()
    assert counts["door"] == counts["hall"]
    assert 0.7 * 4 / GRID_S <= counts["door"] <= 4 / GRID_S + 1
    assert "scenes/yard" in listening.topics, "it has sent nothing yet"
    hub.look(viewer, None, None)
    now[0] += 10
    hub.tick()
    assert not listening.topics
    assert json.loads(hub.summaries_text())["cameras"].keys() == set(CAMERAS)
    hub.close()
