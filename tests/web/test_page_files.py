"""What holds for the files of the page, whatever browser reads them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from nodes.web.access.login_page import login_page
from nodes.web.http.static_files import read_static_files
from stream.drawing import ink, painter

STATIC = Path(__file__).resolve().parents[2] / "nodes/web/static"
SCRIPTS = sorted(STATIC.rglob("*.js"))
MAX_BYTES = 200_000


def constant(name: str) -> object:
    """A table of core/palette.js."""
    text = (STATIC / "core/palette.js").read_text("utf-8")
    found = re.search(rf"export const {name} = (.*?);\n", text, re.S)
    assert found, name
    plain = re.sub(r"(\w+):", r'"\1":', found[1])
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", plain))


def test_the_page_has_the_colours_of_the_renderer() -> None:
    assert constant("PALETTE") == [list(colour) for colour in ink.PALETTE]
    assert constant("INK") == list(ink.INK)
    assert constant("PAPER") == list(ink.PAPER)
    assert constant("TINT") == painter.TINT


def test_the_whole_page_weighs_less_than_200_kb() -> None:
    assert sum(len(file.content) for file in read_static_files().values()) < MAX_BYTES


class Markup(HTMLParser):
    """Collects what a strict Content-Security-Policy or a reader of another page would stumble over."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.files: list[str] = []
        self.ids: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.faults.append(f"{tag} has {name}")
            if name in ("src", "href", "action") and value and not value.startswith(("/", "#")):
                self.faults.append(f"{tag} loads {value}")
            if name in ("src", "href") and value and value.startswith("/static/"):
                self.files.append(value.removeprefix("/static/"))
            if name == "id" and value:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.faults.append(f"inline {self._within}")


@pytest.mark.parametrize(
    "page",
    [
        (STATIC / "index.html").read_text("utf-8"),
        login_page(by_password=True, message="<script>"),
        login_page(by_password=False),
    ],
    ids=["page", "login with a message", "login by link"],
)
def test_no_markup_needs_more_than_the_strict_policy(page: str) -> None:
    markup = Markup()
    markup.feed(page)
    assert markup.faults == []
    assert len(markup.ids) == len(set(markup.ids))
    assert markup.files
    assert set(markup.files) <= set(read_static_files())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_text_as_text_and_import_what_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    for name in re.findall(r'from "([^"]+)"', text):
        assert (path.parent / name).is_file(), name


def test_every_element_that_a_script_asks_for_by_name_is_in_the_page() -> None:
    markup = Markup()
    markup.feed((STATIC / "index.html").read_text("utf-8"))
    wanted = {name for path in SCRIPTS for name in re.findall(r'\bfind\("([\w-]+)"\)', path.read_text("utf-8"))}
    assert wanted <= set(markup.ids), wanted - set(markup.ids)


def test_every_key_that_a_button_names_is_handled() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    acts = set(re.findall(r'data-act="([\w-]+)"', page)) - {"camera"}
    table = (STATIC / "dock.js").read_text("utf-8").partition("this.acts = {")[2].partition("\n    };")[0]
    handled = {name.strip('"') for name in re.findall(r'^      ("[\w-]+"|\w+):', table, re.M)}
    assert acts == handled
