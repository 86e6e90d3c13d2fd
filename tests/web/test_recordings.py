"""Recordings over HTTP: the list, the files, ranges, and what no request can reach."""

from __future__ import annotations

import json

import pytest
from web.recorded import BEGAN_NS, NEXT, START, VIDEO, record_one
from web.served import browse, served

from stream.recordings.index_file import write_index
from stream.recordings.segments import Index


def ask(it, path, **headers):
    """(status, headers, body) of a request of somebody who has opened the link."""
    found = []

    async def work(session):
        async with session.get(it.url.rstrip("/") + path, headers=headers) as response:
            found.append((response.status, response.headers, await response.read()))

    browse(work, f"{it.url}?once={it.server.access.make_link()}")
    return found[0]


@pytest.fixture
def it():
    with served() as made:
        yield made


def listed(it, query=""):
    status, _, body = ask(it, "/recordings" + query)
    assert status == 200
    return json.loads(body)


def test_recordings_are_listed_the_newest_first_and_follow_the_index(it):
    assert listed(it) == {"recordings": [], "more": False}
    record_one(it.recordings)
    newest, oldest = listed(it)["recordings"]
    assert (newest["writing"], newest["end"], newest["video"]) == (True, None, f"/recordings/door/{NEXT}.mp4")
    assert oldest == {
        "camera": "door",
        "start": BEGAN_NS / 1e9,
        "end": BEGAN_NS / 1e9 + 60,
        "bytes": len(VIDEO) + 3,
        "video": f"/recordings/door/{START}.mp4",
        "masks": f"/recordings/door/{START}.masks.jsonl",
        "writing": False,
    }
    assert listed(it, "?limit=1") == {"recordings": [newest], "more": True}
    assert listed(it, f"?before={BEGAN_NS / 1e9 + 1}")["recordings"] == [oldest]
    assert listed(it, "?camera=hall")["recordings"] == []
    assert ask(it, "/recordings?before=x")[0] == 400
    write_index(it.recordings / "index.json", Index(camera="door"))
    assert listed(it)["recordings"] == []


def test_a_video_comes_whole_and_in_ranges_and_one_under_way_as_far_as_it_is(it):
    record_one(it.recordings)
    status, headers, body = ask(it, f"/recordings/door/{START}.mp4")
    assert (status, headers["Content-Type"], body) == (200, "video/mp4", VIDEO)
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, body = ask(it, f"/recordings/door/{START}.mp4", Range="bytes=100-199")
    assert (status, body) == (206, VIDEO[100:200])
    assert headers["Content-Range"] == f"bytes 100-199/{len(VIDEO)}"
    assert ask(it, f"/recordings/door/{START}.mp4", Range=f"bytes={len(VIDEO)}-")[0] == 416
    assert ask(it, f"/recordings/door/{NEXT}.mp4")[2] == b"begun"
    assert ask(it, f"/recordings/door/{START}.masks.jsonl")[2] == b"{}\n"


@pytest.mark.parametrize(
    "path",
    [
        "/recordings/hall/20270115T080000.000Z.mp4",
        "/recordings/door/20270115T090000.000Z.mp4",  # there, but in no index
        "/recordings/door/..%2f..%2fdoor-20270115T080000.000Z.mp4",
        "/recordings/../recordings/door/index.json",
        "/recordings/door/index.json",
        "/recordings/..%2fdoor/20270115T080000.000Z.mp4",
        "/recordings/door/.lock",
        f"/recordings/door/{START}",
    ],
)
def test_what_the_index_does_not_name_is_not_there(it, path):
    record_one(it.recordings)
    assert ask(it, path)[0] == 404


def test_a_recording_that_has_just_given_way_is_not_there(it):
    record_one(it.recordings)
    (it.recordings / f"door-{START}.mp4").unlink()
    assert ask(it, f"/recordings/door/{START}.mp4")[0] == 404
