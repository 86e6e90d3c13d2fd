"""The commands: --web, tools/view.py and tools/ctl.py as a user starts them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pty
import re
import signal
import socket
import subprocess
import sys

import pytest
from running import LOOP, ROOT, until
from web.served import Page, browse

from nodes.web.access.passwords import read_accounts, role_of
from tools import ctl

# Makes the terminal at stdin that of the new session, as a shell would, and becomes the command.
OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
SMALL = ("--set", "capture.demo_size=320x180", "--set", "capture.demo_fps=10")


def link_in(output):
    """The address that was printed."""
    found = re.search(r"the page is at (http://\S+)", output)
    return found and found[1]


def look(link, *, act=False):
    """Open a link, and wait for two scenes; with `act`, pause and resume the run, too."""

    async def work(session):
        async with session.ws_connect(link.partition("?")[0] + "ws") as ws:
            page = Page(ws)
            status = await page.hears("status")
            await page.say("look", camera=status["camera"])
            first, _ = await page.sees()
            second, payloads = await page.sees()
            assert second["frame_id"] > first["frame_id"]
            assert payloads[-1].startswith(b"\xff\xd8\xff")
            if act:
                for number, method in enumerate(("pause", "resume")):
                    await page.say("request", id=number, method=method, params={})
                    reply = await page.hears("reply")
                    assert reply["result"] == {"paused": method == "pause"}

    browse(lambda session: asyncio.wait_for(work(session), 60), link)


def another_link():
    """What tools/ctl.py link prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert ctl.main(["link"]) == 0
    return out.getvalue().strip()


def stop_while_somebody_looks(run, link):
    """End the run as a user does; the page is told."""

    async def work(session):
        async with session.ws_connect(link.partition("?")[0] + "ws") as ws:
            page = Page(ws)
            await page.hears("status")
            run.send(signal.SIGTERM)
            assert (await page.hears("ended"))["reason"] == "the run has ended"

    browse(lambda session: asyncio.wait_for(work(session), 60), link)
    assert run.wait() == 0


def test_a_page_of_a_run_and_one_of_view_show_it_and_act_and_the_node_can_die(start, tmp_path, own_run_folder):
    run = start(*LOOP, *SMALL, "--web", "127.0.0.1:0")
    run.says("the page is at ")
    run.tracks(1)
    link = link_in(run.output)
    look(link, act=True)
    assert link.partition("=")[2] not in "\n".join(line for line in run.lines if link not in line)

    command = [sys.executable, str(ROOT / "tools" / "view.py"), "--web", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as viewing:
        try:
            look(link_in(viewing.stderr.readline()), act=True)
        finally:
            viewing.send_signal(signal.SIGTERM)
        assert viewing.wait(30) == 0

    before = run.pids()
    os.kill(before["web"], signal.SIGKILL)
    until(lambda: run.output.count("the page is at ") == 2, "another web node")
    another = another_link()
    assert another.partition("?")[0] == link.partition("?")[0], "the port stays"
    look(another)
    after = run.pids()
    assert {n: p for n, p in after.items() if n != "web"} == {n: p for n, p in before.items() if n != "web"}
    stop_while_somebody_looks(run, another_link())


def test_a_port_in_use_and_an_address_for_others_end_the_run_with_one_message(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        run = start("--web", endpoint)
        assert run.wait() == 2
        assert f"--web (web.endpoint) {endpoint} is in use by another program" in run.lines[-1]
    run = start("--web", "0.0.0.0:8080")
    assert run.wait() == 2
    (line,) = run.lines
    assert "which others can reach" in line


def test_view_without_a_run_says_so():
    answer = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "view.py")], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert "no run is going on" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_passwd_asks_twice_and_shows_nothing(tmp_path):
    file = tmp_path / "passwords"
    for second, code in (("another one", 2), ("a long password", 0)):
        ours, theirs = pty.openpty()
        words = [str(ROOT / "tools" / "ctl.py"), "passwd", str(file), "anna", "--role", "viewer"]
        process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        for question, answer in ((b"password for anna: ", "a long password"), (b"once more: ", second)):
            while question not in shown:
                shown += os.read(ours, 1024)
            os.write(ours, answer.encode() + b"\n")
        assert process.wait(30) == code
        while True:
            try:
                shown += os.read(ours, 1024)
            except OSError:
                break
        os.close(ours)
        assert b"a long password" not in shown
        assert (b"differ" in shown) == bool(code)
        assert file.exists() == (code == 0)
    assert role_of(read_accounts(str(file)), "anna", "a long password") == "viewer"


def test_lite_without_the_page_never_loads_aiohttp():
    check = (
        "import sys; from stream.command_line import read_command_line, check_start; "
        "check_start(read_command_line([]).config); "
        "print([m for m in ('aiohttp', 'prometheus_client') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("words", [["link"], ["--camera", "none", "link"]])
def test_a_link_needs_a_run(words, capsys):
    assert ctl.main(words) == 2
    assert "no run" in capsys.readouterr().err
