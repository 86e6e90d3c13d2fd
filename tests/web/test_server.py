"""The server as a whole: its address, HTTPS, its node, and what it does with what the run publishes."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess

import aiohttp
import pytest
from running import until
from web.served import CAMERA, Page, browse, scene_parts, seen, served, threads_named

from nodes.web.door import open_door
from nodes.web.node import WebStage
from nodes.web.relay import PER_S
from stream.commands import Start
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.settings.config import Web
from stream.settings.presets import load


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Keys of `web` for a certificate of this machine's own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there: HTTPS is NOT TESTED")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "page.pem"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return {"certificate": str(folder / "page.pem"), "key": str(folder / "key.pem")}


def test_https_serves_the_page_and_its_socket_and_the_cookie_is_for_https_alone(certificate):
    with served(**certificate) as it:
        assert it.url.startswith("https://127.0.0.1:")

        async def work(session):
            trusted = ssl.create_default_context(cafile=certificate["certificate"])
            async with session.get(it.link, ssl=trusted, allow_redirects=False) as response:
                cookie = response.headers["Set-Cookie"]
                assert "; Secure" in cookie
            headers = {"Cookie": cookie.partition(";")[0], "Origin": it.url.rstrip("/")}
            async with session.ws_connect(it.url + "ws", ssl=trusted, headers=headers) as socket:
                await Page(socket).hears("welcome")
            with pytest.raises(aiohttp.ClientError):
                await session.get(it.url.replace("https", "http"))

        browse(work)


def test_a_certificate_that_is_none_is_refused(tmp_path):
    for name in ("page.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    with (
        pytest.raises(ConfigError, match=r"are no certificate and its key"),
        served(certificate=str(tmp_path / "page.pem"), key=str(tmp_path / "key.pem")),
    ):
        pass


def test_a_metrics_token_has_some_length(tmp_path):
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(ConfigError, match="has 5 characters; needs 16"), served(metrics_token=str(tmp_path / "token")):
        pass


def test_a_host_that_is_not_ours_is_refused():
    with pytest.raises(ConfigError, match="is no address of this machine"):
        open_door(Web(endpoint="192.0.2.1:8080", insecure=True))
    with pytest.raises(ConfigError, match="is no address of this machine"):
        open_door(Web(endpoint="no-such-host.invalid:8080", insecure=True))


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [("localhost:0", "http://127.0.0.1:"), ("127.0.0.1:0", "http://127.0.0.1:"), ("[::1]:0", "http://[::1]:")],
)
def test_the_address_that_is_printed_can_be_opened(endpoint, url):
    try:
        door = open_door(Web(endpoint=endpoint))
    except ConfigError:
        assert "::1" in endpoint, "only IPv6 may be missing"
        pytest.skip("no IPv6 here")
    assert door.url.startswith(url)
    assert not door.url.endswith(":0/")
    door.socket.close()


def test_the_node_says_where_its_page_is_once_it_is_started_and_leaves_no_thread(tmp_path, caplog):
    node = InMemoryNode()
    node.folder = tmp_path
    caplog.set_level("INFO")
    stage = WebStage(load("lite", {"web.endpoint": "127.0.0.1:0", "capture.camera": CAMERA}), node)
    assert not caplog.messages
    node.start(stage, Start())
    (said,) = caplog.messages
    link = said.partition(" at ")[2]

    async def work(session):
        async with session.ws_connect(link.partition("?")[0] + "ws") as socket:
            page = Page(socket)
            assert (await page.hears("welcome"))["cameras"] == [CAMERA]
            await page.say("look", camera=CAMERA, max_width=160)
            await seen(lambda: f"scenes/{CAMERA}" in node.listener.topics)
            node.listener.publish(scene_parts(3, size=(180, 320)))
            assert (await page.sees())[0]["frame_id"] == 3
            assert threads_named("web-encoder")

    browse(work, link)
    stage.on_idle()
    stage.close()
    assert (node.listener.closed, node.control.closed) == (True, True)
    until(lambda: not threads_named("web"), "the end of all threads")


def test_what_a_publisher_sends_that_is_none_is_counted_and_passed_over():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera=CAMERA)
                await seen(lambda: it.looked_at)
                good = scene_parts(1)
                for parts in (
                    good[:2],
                    [good[0], b"{", *good[2:]],
                    [good[0], good[1].replace(b'"codec": "jpeg"', b'"codec": "png"'), *good[2:]],
                    [good[0], good[1].replace(b'"door"', b'"hall"'), *good[2:]],
                    [good[0], good[1].replace(b'"version": 1', b'"version": 2'), *good[2:]],
                    [f"status/{CAMERA}".encode(), b"[]"],
                    [f"masks/{CAMERA}".encode(), b"\xff"],
                    [f"masks/{CAMERA}".encode()],
                ):
                    it.listener.publish(parts)
                    await seen(it.listener.messages.empty)
                it.publish_scene(2)
                assert (await page.sees())[0]["frame_id"] == 2
                async with session.get(it.url + "metrics") as response:
                    text = await response.text()
                # Of scenes that come at once only the newest gets so far.
                (line,) = [
                    text for text in text.splitlines() if text.startswith('sam_pt_web_malformed_total{kind="pub')
                ]
                assert 3 <= float(line.split()[1]) <= 8

        browse(work, it.link)


def test_a_picture_that_can_not_be_read_is_passed_over_by_who_needs_it_read():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera=CAMERA, max_width=160)
                await seen(lambda: it.looked_at)
                for frame_id in range(5):
                    it.listener.publish(
                        [*scene_parts(frame_id, size=(180, 320))[:-1], b"\xff\xd8\xff no JPEG \xff\xd9"]
                    )
                    await seen(it.listener.messages.empty)
                it.publish_scene(9, size=(180, 320))
                assert (await page.sees())[0]["frame_id"] == 9
                asking = asyncio.ensure_future(session.get(it.url + "snapshot/door.jpg?masks=1"))
                while not asking.done():
                    it.listener.publish([*scene_parts(10)[:-1], b"\xff\xd8\xff no JPEG \xff\xd9"])
                    await asyncio.sleep(0.02)
                async with await asking as response:
                    assert (response.status, await response.text()) == (503, "the run's picture can't be read\n")

        browse(work, it.link)


def test_a_session_has_its_share_of_requests_and_a_request_that_is_too_long_goes_nowhere():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                numbers = ",".join(["1e9"] * 200_000)  # each becomes 1000000000.0
                await socket.send_str(f'{{"type":"request","id":"long","method":"a","params":{{"b":[{numbers}]}}}}')
                assert (await page.hears("reply"))["error"]["code"] == "bad_request"
                codes = []
                for number in range(200):
                    await page.say("request", id=number, method="stats", params={})
                    reply = await page.hears("reply")
                    codes.append(reply.get("error", {}).get("code"))
                assert codes.count("too_many_requests") > 10, f"{PER_S:g} a second are taken"

        browse(work, it.link)
        assert all(len(json.dumps(request)) < 1000 for request in it.control.requests)


def test_head_will_do_where_there_is_an_end():
    with served() as it:

        async def work(session):
            for path, status in (
                ("", 200),
                ("static/main.js", 200),
                ("healthz", 503),
                ("mjpeg/door", 405),
                ("ws", 405),
            ):
                async with session.head(it.url + path) as response:
                    assert (response.status, await response.read()) == (status, b"")

        browse(work, it.link)
