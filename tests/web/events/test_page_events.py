"""What objects do, on its way to pages: told to who looks at that camera, and to who looks later."""

from __future__ import annotations

from web.events.event_messages import entered, events_parts
from web.served import Page, browse, seen, served

CAMERAS = ("door", "hall")


def test_a_page_hears_of_events_with_the_counts_of_zones_and_lines():
    with served(cameras=CAMERAS) as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket, session.ws_connect(it.url + "ws") as late:
                page, later, elsewhere = Page(socket), Page(late), "events/hall"
                await page.say("look", camera="door")
                await seen(lambda: "events/door" in it.listener.topics)
                assert elsewhere not in it.listener.topics
                it.listener.publish(events_parts(7, entered(1)))
                told = await page.hears("events")
                assert told["zones"] == {"yard": {"inside": [1], "entered": 7, "left": 0}}
                assert told["lines"] == {"gate": {"to_right": 2, "to_left": 1}}
                (event,) = told["events"]
                assert (event["kind"], event["object"], event["zone"], event["unix_s"]) == ("enter", 1, "yard", 7.0)
                await later.say("look", camera="door")
                assert (await later.hears("events"))["events"] == [event]

        browse(work, it.link)


def test_events_that_nobody_can_read_or_of_another_camera_are_counted_and_passed_over():
    with served(cameras=CAMERAS) as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera="door")
                await seen(lambda: "events/door" in it.listener.topics)
                it.listener.publish([b"events/door", b"{}"])
                it.listener.publish([b"events/door", events_parts(1, entered(5), camera="hall")[1]])
                it.listener.publish(events_parts(2, entered(3)))
                assert [e["object"] for e in (await page.hears("events"))["events"]] == [3]
            async with session.get(it.url + "metrics") as response:
                assert 'sam_pt_web_malformed_total{kind="publisher"} 2.0' in await response.text()

        browse(work, it.link)
