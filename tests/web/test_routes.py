"""Every route against every kind of visitor: what is needed, and that less is refused."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from web.recorded import START, record_one
from web.served import CHANGE, browse, served

from nodes.web.access.passwords import make_account, write_account
from nodes.web.http.routes import ROUTES
from nodes.web.page_socket import VIEWER_METHODS

PATHS = {  # a request that each route answers, once it may
    "index": "/",
    "static": "/static/index.html",
    "static_inside": "/static/core/wire.js",
    "login_form": "/login",
    "login": "/login",
    "logout": "/logout",
    "socket": "/ws",
    "snapshot": "/snapshot/door.jpg",
    "mjpeg": "/mjpeg/door",
    "recordings": "/recordings",
    "recorded_video": f"/recordings/door/{START}.mp4",
    "recorded_masks": f"/recordings/door/{START}.masks.jsonl",
    "api": "/api/remove_object",
    "healthz": "/healthz",
    "metrics": "/metrics",
}
OPEN = {"static", "static_inside", "login_form", "login", "healthz"}
TOKEN = "a-token-of-the-metrics"


@pytest.fixture(scope="module")
def it(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets")
    for role, name in (("operator", "anna"), ("viewer", "bert")):
        write_account(str(folder / "passwords"), make_account(role, name, f"{name}-has-a-password"))
    (folder / "token").write_text(TOKEN + "\n")
    with served(passwords=str(folder / "passwords"), metrics_token=str(folder / "token")) as made:
        record_one(made.recordings)
        yield made


@pytest.fixture(scope="module")
def cookies(it):
    """The Cookie header of each role, and that of a session that was logged out."""
    found = {}

    async def log_in(session, name):
        form = {"name": name, "password": f"{name}-has-a-password"}
        origin = {"Origin": it.url.rstrip("/")}
        async with session.post(it.url + "login", data=form, headers=origin, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/"), await response.text()
            return response.headers["Set-Cookie"].partition(";")[0]

    async def work(session):
        found["operator"], found["viewer"], found["gone"] = [
            await log_in(session, name) for name in ("anna", "bert", "anna")
        ]
        session.cookie_jar.clear()
        headers = {**CHANGE, "Cookie": found["gone"]}
        async with session.post(it.url + "logout", headers=headers) as response:
            assert response.status == 204

    browse(work)
    return found


def status_of(it, route, cookie="", **headers):
    """The status of a request for the route, made rightly but for what the arguments say."""
    sent = {**(CHANGE if route.method == "POST" else {}), **headers}
    if cookie:
        sent["Cookie"] = cookie
    if route.name == "socket":
        sent |= {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
    statuses = []

    async def work(session):
        body = json.dumps({"object_id": 1}) if route.name == "api" else None
        url = it.url.rstrip("/") + PATHS[route.name]
        request = session.request(route.method, url, headers=sent, data=body, allow_redirects=False)
        async with await asyncio.wait_for(request, 30) as response:
            statuses.append(response.status)

    browse(work)
    return statuses[0]


REFUSED = (303, 401, 403, 421)


def test_the_table_of_requests_has_every_route():
    assert set(PATHS) == {route.name for route in ROUTES}
    assert {route.name for route in ROUTES if route.need == "nobody"} == OPEN


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_a_route_is_refused_to_who_has_less_than_it_needs(it, cookies, route):
    strangers = {
        "nobody": status_of(it, route),
        "somebody with a made-up cookie": status_of(it, route, cookies["viewer"][:-4] + "AAAA"),
        "who has logged out": status_of(it, route, cookies["gone"]),
    }
    for who, status in strangers.items():
        assert (status in REFUSED) == (route.name not in OPEN), (who, status)
    if route.name == "api":
        assert status_of(it, route, cookies["viewer"]) == 403
    if route.name not in ("healthz",):
        assert status_of(it, route, cookies["operator"], Host="evil.example") == 421
        assert status_of(it, route, cookies["operator"], Host="evil.example:8080") == 421
    assert status_of(it, route, cookies["operator"], Origin="http://evil.example") == 403
    assert status_of(it, route, cookies["operator"], Origin="null") == 403
    if route.changes:
        assert status_of(it, route, cookies["operator"], **{"X-SAM-PT": "0"}) == 403


EXPECTED = {"socket": 101, "snapshot": 200, "mjpeg": 200, "login": 400, "healthz": 503}


@pytest.mark.parametrize(
    ("role", "route"),
    [
        (role, route)
        for role in ("viewer", "operator")
        for route in ROUTES
        if route.name != "logout" and (role, route.name) != ("viewer", "api")
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_route_answers_who_has_what_it_needs(it, cookies, route, role):
    if route.name == "snapshot":
        answer = []

        async def work(session):
            async with session.get(it.url + "snapshot/door.jpg", headers={"Cookie": cookies[role]}) as response:
                answer.append((response.status, response.content_type, (await response.read())[:3]))

        async def publish(session):
            asking = asyncio.ensure_future(work(session))
            for frame_id in range(1000):
                if asking.done():
                    break
                it.publish_scene(frame_id)
                await asyncio.sleep(0.05)
            await asking

        browse(publish)
        assert answer == [(200, "image/jpeg", b"\xff\xd8\xff")]
        return
    status = status_of(it, route, cookies[role], Origin=it.url.rstrip("/"))
    assert status == EXPECTED.get(route.name, 200)


@pytest.mark.parametrize("method", VIEWER_METHODS)
def test_a_viewer_may_ask_for_what_changes_nothing(it, cookies, method):
    async def work(session):
        headers = {**CHANGE, "Cookie": cookies["viewer"]}
        async with session.post(f"{it.url}api/{method}", headers=headers) as response:
            assert (response.status, await response.json()) == (200, {"result": {}})

    browse(work)


def test_metrics_need_a_login_or_their_token(it):
    async def work(session):
        for token, status in ((TOKEN, 200), (TOKEN + "x", 401), ("", 401)):
            headers = {"Authorization": f"Bearer {token}"}
            async with session.get(it.url + "metrics", headers=headers) as response:
                assert response.status == status, token

    browse(work)


def test_every_answer_carries_the_headers_that_keep_foreign_content_out(it, cookies):
    async def work(session):
        for path in ("", "login", "static/index.html", "static/none.js", "nowhere", "ws", "healthz", "metrics"):
            async with session.get(it.url + path, headers={"Cookie": cookies["operator"]}) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "same-origin"
                wanted = "no-cache" if path in ("", "static/index.html") else "no-store"
                assert response.headers["Cache-Control"] == wanted, path

    browse(work)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/core/../../server.py",
        "/static/../http/routes.py",
        "/static//etc/passwd",
        "/snapshot/..%2f..%2fetc%2fpasswd.jpg",
        "/snapshot/hall.jpg",
        "/mjpeg/..",
        "/mjpeg/hall",
        "//etc/passwd",
        "/%00",
    ],
)
def test_no_request_names_a_path(it, cookies, path):
    """Sent as it is written: aiohttp's client would tidy it up."""

    async def work():
        host, port = it.url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookies['operator']}\r\n\r\n"
        writer.write(request.encode())
        line = await asyncio.wait_for(reader.readline(), 30)
        writer.close()
        assert line.split()[1] in (b"404", b"400"), line

    asyncio.run(work())


def test_a_page_of_a_viewer_can_ask_for_nothing_that_changes_the_run(it, cookies):
    async def work(session):
        headers = {"Cookie": cookies["viewer"]}
        async with session.ws_connect(it.url + "ws", headers=headers) as socket:
            for method in ("add_object", "remove_object", "pause", "shutdown", "snapshot", "record", "rename_object"):
                await socket.send_str(json.dumps({"type": "request", "id": method, "method": method, "params": {}}))
            codes = {}
            while len(codes) < 7:
                message = await asyncio.wait_for(socket.receive(), 30)
                assert message.type is aiohttp.WSMsgType.TEXT
                found = json.loads(message.data)
                if found["type"] == "reply":
                    codes[found["id"]] = found["error"]["code"]
            assert set(codes.values()) == {"forbidden"}

    browse(work)
