"""Links that work once, passwords, sessions, tries: who gets in."""

from __future__ import annotations

import json

import pytest
from web.served import CHANGE, Page, browse, served

from nodes.web.access.passwords import make_account, read_accounts, role_of, write_account
from nodes.web.access.request_checks import Hosts, is_same_origin
from nodes.web.access.run_files import MAX_LINKS, RunFiles
from nodes.web.access.sessions import MAX_SESSIONS, SESSION_S, TRIES, TRY_AGAIN_S, Access
from nodes.web.allowances import MAX_NAMES, Allowances
from stream.errors import ConfigError


@pytest.fixture
def files(tmp_path):
    """The run's folder."""
    return RunFiles(tmp_path)


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


# --- over HTTP ------------------------------------------------------------------------------------------------------


def test_a_printed_link_works_once_and_leads_at_once_to_an_address_without_its_secret():
    with served() as it:

        async def first(session):
            async with session.get(it.link, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/")
                cookie = response.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=Strict" in cookie
            async with session.get(it.url) as response:
                assert response.status == 200
                assert it.link.partition("=")[2] not in await response.text()

        async def second(session):
            async with session.get(it.link, allow_redirects=False) as response:
                assert response.status == 401
                assert "Set-Cookie" not in response.headers
            async with session.get(it.url, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/login")

        browse(first)
        browse(second)


def test_the_code_of_a_link_can_be_typed_into_the_form():
    with served() as it:

        async def work(session):
            form, origin = {"once": it.link.partition("=")[2]}, {"Origin": it.url.rstrip("/")}
            async with session.post(it.url + "login", data=form, headers=origin) as response:
                assert (response.status, str(response.url)) == (200, it.url)

        browse(work)


def test_who_comes_from_another_site_is_led_on_from_here_so_that_the_browser_sends_its_cookie():
    with served() as it:

        async def work(session):
            headers = {"Sec-Fetch-Site": "cross-site"}
            async with session.get(it.url, headers=headers, allow_redirects=False) as response:
                assert response.status == 200
                assert 'content="0; url=/"' in await response.text()

        browse(work)


def test_passwords_take_the_place_of_the_link(tmp_path):
    file = str(tmp_path / "passwords")
    write_account(file, make_account("viewer", "bert", "a long password"))
    with served(passwords=file) as it:
        assert it.link == it.url

        async def work(session):
            origin = {"Origin": it.url.rstrip("/")}
            for form in (
                {"name": "bert", "password": "another one"},
                {"name": "nobody", "password": "a long password"},
            ):
                async with session.post(it.url + "login", data=form, headers=origin) as response:
                    assert response.status == 401
                    assert form["password"] not in await response.text()
            form = {"name": "bert", "password": "a long password"}
            async with session.post(it.url + "login", data=form, headers=origin) as response:
                assert (response.status, str(response.url)) == (200, it.url)
            async with session.ws_connect(it.url + "ws") as socket:
                assert (await Page(socket).hears("welcome"))["role"] == "viewer"

        browse(work)


def test_too_many_tries_are_refused_also_with_the_right_password(tmp_path):
    file = str(tmp_path / "passwords")
    write_account(file, make_account("operator", "anna", "a long password"))
    with served(passwords=file) as it:

        async def work(session):
            statuses = []
            for password in ["wrong"] * TRIES + ["a long password"]:
                form, origin = {"name": "anna", "password": password}, {"Origin": it.url.rstrip("/")}
                async with session.post(it.url + "login", data=form, headers=origin) as response:
                    statuses.append(response.status)
                    retry = response.headers.get("Retry-After")
            if 200 not in statuses:  # on a very slow machine a try has come back by now
                assert statuses == [401] * TRIES + [429]
                assert retry == "10"

        browse(work)


def test_logging_out_closes_the_pages_of_that_session_and_its_cookie_opens_nothing():
    with served() as it:

        async def work(session):
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.hears("welcome")
                cookie = {c.key: c.value for c in session.cookie_jar}
                async with session.post(it.url + "logout", headers=CHANGE) as response:
                    assert response.status == 204
                await page.hears("logged_out")
                assert await page.is_closed() == 4401
            async with session.get(it.url, cookies=cookie, allow_redirects=False) as response:
                assert response.status == 303

        browse(work, it.link)


# --- sessions and tries ---------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_was_not_used_for_long(files):
    clock = Clock()
    access = Access(clock, files)
    cookie = access.open_session("viewer")
    clock.now_s += SESSION_S - 1
    assert access.role(cookie) == "viewer"
    clock.now_s += SESSION_S - 1
    assert access.role(cookie, used=False) == "viewer"
    clock.now_s += 2
    assert access.role(cookie) is None


def test_there_are_so_many_sessions_and_the_one_that_was_unused_for_longest_gives_way(files):
    clock = Clock()
    access = Access(clock, files)
    cookies = []
    for _ in range(MAX_SESSIONS):
        clock.now_s += 1
        cookies.append(access.open_session("viewer"))
    clock.now_s += 1
    assert access.role(cookies[0]) == "viewer"  # it is used
    access.open_session("viewer")
    assert access.role(cookies[1]) is None
    assert access.role(cookies[0]) == "viewer"


def test_what_is_written_of_cookies_and_links_does_not_open_anything(files, tmp_path):
    access = Access(Clock(), files)
    cookie, secret = access.open_session("operator"), access.make_link()
    written = [path.name for path in tmp_path.rglob("*")] + [p.read_text() for p in tmp_path.rglob("*") if p.is_file()]
    assert not [text for text in written if cookie in text or secret in text]
    for hashed in json.loads((tmp_path / "web-sessions.json").read_text()):
        assert access.role(hashed) is None
    for path in (tmp_path / "web-links").iterdir():
        assert not access.use_link(path.name)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_a_link_works_once_whoever_made_it_and_only_so_many_wait(files):
    access = Access(Clock(), files)
    secret = files.make_link()
    assert [access.use_link(secret), access.use_link(secret)] == [True, False]
    secrets = [access.make_link() for _ in range(MAX_LINKS + 3)]
    assert [access.use_link(s) for s in secrets] == [False] * 3 + [True] * MAX_LINKS
    assert not access.use_link("../web-sessions.json")


def test_a_session_outlives_a_restart_of_the_server_at_the_same_port(tmp_path):
    kept = {}
    with served(tmp_path) as it:
        kept["url"] = it.url

        async def log_in(session):
            async with session.get(it.link) as response:
                assert response.status == 200
            kept["cookies"] = {c.key: c.value for c in session.cookie_jar}

        browse(log_in)
    with served(tmp_path) as it:
        assert it.url == kept["url"]

        async def come_back(session):
            async with session.get(it.url, cookies=kept["cookies"], allow_redirects=False) as response:
                assert response.status == 200

        browse(come_back)


def test_tries_come_back_one_by_one_and_one_address_does_not_spend_anothers(files):
    clock = Clock()
    access = Access(clock, files)
    assert [access.may_try("a") for _ in range(TRIES + 1)] == [True] * TRIES + [False]
    assert access.may_try("b")
    clock.now_s += TRY_AGAIN_S + 0.001
    assert [access.may_try("a") for _ in range(2)] == [True, False]


def test_all_addresses_together_have_only_so_many_tries(files):
    access = Access(Clock(), files)
    tries = [access.may_try(f"10.0.{i // 250}.{i % 250}") for i in range(10_000)]
    assert sum(tries) == 50


def test_a_name_that_keeps_trying_is_remembered_while_others_are_forgotten():
    allowances = Allowances(2, 0.0, Clock())
    for i in range(3 * MAX_NAMES):
        allowances.take(f"10.{i}")
        if i < 2 or i % 1000 == 0:
            allowances.take("keen")
    assert not allowances.take("keen")


# --- the password file ----------------------------------------------------------------------------------------------


def test_a_password_file_is_private_holds_no_password_and_one_line_a_name(tmp_path):
    file = tmp_path / "passwords"
    for role, name, password in (
        ("viewer", "bert", "first password"),
        ("operator", "anna", "second password"),
        ("operator", "bert", "third password"),
    ):
        write_account(str(file), make_account(role, name, password))
    assert file.stat().st_mode & 0o777 == 0o600
    assert "password" not in file.read_text()
    accounts = read_accounts(str(file))
    assert role_of(accounts, "bert", "third password") == "operator"
    assert role_of(accounts, "bert", "first password") is None
    assert role_of(accounts, "carl", "third password") is None
    assert [p.name for p in tmp_path.iterdir()] == ["passwords"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("anna", "line 1"),
        ("admin:anna:scrypt$15$8$2$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA==", "line 1"),
        ("viewer:an na:scrypt$15$8$2$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA==", "line 1"),
        ("viewer:anna:scrypt$30$8$2$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA==", "line 1"),
        ("viewer:anna:scrypt$15$8$2$A$A", "line 1"),
        ("", "no account"),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_number_and_without_its_contents(tmp_path, line, why):
    file = tmp_path / "passwords"
    file.write_text(line + "\n")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=why) as caught:
        read_accounts(str(file))
    assert "AAAA" not in str(caught.value)


def test_a_password_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "passwords"
    write_account(str(file), make_account("viewer", "bert", "a long password"))
    file.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_accounts(str(file))


@pytest.mark.parametrize(
    ("name", "password"), [("bert:x", "a long password"), ("", "a long password"), ("bert", "short")]
)
def test_names_and_passwords_that_will_not_do_are_refused(name, password):
    with pytest.raises(ConfigError):
        make_account("viewer", name, password)


# --- where a request comes from -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "localhost:9000", True),  # the near end of a tunnel
        ("127.0.0.1", "[::1]:8080", True),
        ("127.0.0.1", "192.168.1.5:8080", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "127.0.0.1:80@evil.example", False),
        ("0.0.0.0", "192.168.1.5:8080", True),  # rebinding needs a name
        ("0.0.0.0", "evil.example:8080", False),
        ("0.0.0.0", "door.example:443", True),
        ("0.0.0.0", "DOOR.example.", True),
    ],
)
def test_the_server_answers_to_its_own_names(bound, host, known):
    assert Hosts(bound, ["door.example"]).knows(host) == known


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://127.0.0.1:8080", True),
        ("https://127.0.0.1:8080", True),
        ("http://127.0.0.1:8081", False),
        ("http://127.0.0.1", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("file://127.0.0.1:8080", False),
        ("http://127.0.0.1:8080.evil.example", False),
    ],
)
def test_another_sites_origin_is_told_apart(origin, same):
    assert is_same_origin(origin, "127.0.0.1:8080") == same
