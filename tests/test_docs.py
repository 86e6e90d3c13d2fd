"""The pages keep their word: what they name exists, what they print runs, and what code cites is there."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from running import ROOT

from stream.settings.presets import CONFIG_DIR, load

README = (ROOT / "README.md").read_text()
DOCS = sorted((ROOT / "docs").glob("*.md"))
GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
PAGES = [*GUIDES, ROOT / "CHANGELOG.md"]  # which tells of files that are gone, too
ROOMS = ("stream", "nodes", "configs", "tools", "tests", "docs", ".ci")
FILES = r"(?:run_stream\.py|Makefile|LICENSE|requirements[\w.-]*\.txt|constraints\.txt|pyproject\.toml|[A-Z]+\.md)"


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every `python ...` and `make ...` of the pages, in words: in blocks without a language, and in code spans."""
    found: dict[str, list[str]] = {}
    for page in GUIDES:
        text = page.read_text()
        lines = [line for block in blocks(text, "") for line in block.splitlines()]
        lines += re.findall(r"`((?:python|make) [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
        for line in lines:
            if line.startswith(("python docs/consumers/", "node ")):
                continue  # they need packages of their own: tests/test_consumers.py starts them
            if line.startswith(("python ", "make ")):
                words = shlex.split(line, comments=True)
                found.setdefault(" ".join(words), words)
    assert len(found) > 30
    return list(found.values())


@cache
def help_of(script: str, *command: str) -> str:
    answer = subprocess.run(
        [sys.executable, ROOT / script, *command, "--help"], capture_output=True, text=True, check=True
    )
    return answer.stdout


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_pages_exists_with_its_options(words: list[str]) -> None:
    program, *arguments = words
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    script, *rest = arguments
    assert (ROOT / script).is_file()
    text = help_of(script)
    subcommands = re.findall(r"^    (\w+)(?: {2,}|$)", text.partition("positional arguments:")[2], re.MULTILINE)
    for command in (w for w in rest if w in subcommands):
        text += help_of(script, command)
    for option in (w for w in rest if w.startswith("--")):
        assert re.search(rf"{option}\b", text), f"{script} knows no {option}"


def paths_in(page: Path) -> set[str]:
    """Every path of the repository that a page names: in code spans, and tools wherever they stand."""
    text = page.read_text()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    spans = [word for span in re.findall(r"`([^`\n]+)`", prose) for word in span.split()]
    found = {w for w in spans if re.fullmatch(rf"{FILES}|(?:{'|'.join(map(re.escape, ROOMS))})/[\w./-]*", w)}
    return found | {w.rstrip(".") for w in re.findall(r"(?<![\w./-])tools/[\w./-]+", text)}


@pytest.mark.parametrize("page", GUIDES, ids=names(GUIDES))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = sorted(path for path in paths_in(page) if not (ROOT / path).exists())
    assert not missing, f"{page.name} names {', '.join(missing)}"


def test_the_paths_of_a_page_are_found() -> None:
    assert {"stream/topology.py", "nodes/tracker/tracking.py", "tools/ctl.py"} <= paths_in(ROOT / "README.md")
    assert len(paths_in(ROOT / "docs/architecture.md")) > 15


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_of_the_pages_lead_somewhere(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(([^)#\s]*)(#([^)\s]+))?\)", page.read_text()):
        if "://" in target:
            continue
        other = page.parent / target if target else page
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(other), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_yaml_of_the_pages_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOOR_PASSWORD", "MQTT_PASSWORD", "HOOK_SECRET"):
        monkeypatch.setenv(name, "p#ss of the tests")
    pages = [block for page in GUIDES for block in blocks(page.read_text(), "yaml")]
    assert len(pages) == 9
    for page in pages:
        (tmp_path / "page.yaml").write_text(page)
        load(str(tmp_path / "page.yaml"))


def test_the_python_of_the_pages_parses() -> None:
    for page in GUIDES:
        for block in blocks(page.read_text(), "python"):
            ast.parse(block)


def test_the_stage_of_the_architecture_page_works_as_it_says() -> None:
    code = blocks((ROOT / "docs/architecture.md").read_text(), "python")
    assert len(code) == 2
    assert code[1].count("assert ") == 3
    exec("\n".join(code), {})


def test_the_page_of_presets_names_every_preset() -> None:
    table = (ROOT / "docs/presets.md").read_text().partition("## ")[0]
    presets = sorted(path.stem for path in CONFIG_DIR.glob("*.yaml"))
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == presets


def test_the_readme_is_short_and_its_figures_are_those_of_the_benchmarks() -> None:
    assert len(README.splitlines()) < 200
    table = README.partition("## Measured")[2].partition("\n## ")[0]
    figures = [
        figure for row in re.findall(r"^\|[^|]*\|([^|]*)\|[^|]*`python", table, re.M) for figure in row.split(", ")
    ]
    assert len(figures) >= 5
    measured = (ROOT / "docs/benchmarks.md").read_text()
    for figure in figures:
        assert figure.strip().removeprefix("p50 ").removeprefix("p95 ") in measured, figure


# --- what code cites ---


LABEL = r"[a-z](?:\.\d+)?\b"


def cited() -> list[tuple[str, str]]:
    """(file, label) of every "docs/sam_pt.md, b.5" in code, presets, tests and pages; the line may end inside."""
    found = []
    for path in (p for room in ROOMS for p in sorted((ROOT / room).rglob("*"))):
        if path.suffix in (".py", ".yaml", ".md") and path.name != Path(__file__).name:
            text = re.sub(r"\s+(?:# )?", " ", path.read_text())
            for labels in re.findall(rf"docs/sam_pt\.md, ({LABEL}(?:(?:, | and ){LABEL})*)", text):
                found += [(path.name, label) for label in re.split(", | and ", labels)]
    return found


def test_every_rule_that_code_cites_is_on_its_page() -> None:
    page = (ROOT / "docs/sam_pt.md").read_text()
    labels = set(re.findall(r"^#+ ([a-z](?:\.\d+)?)\.? ", page, re.MULTILINE))
    assert {"a.4", "b", "b.4", "b.5", "d", "d.5", "e.1", "e.3"} <= labels
    citations = cited()
    assert ("architecture.md", "e") in citations
    for name, label in citations:
        assert label in labels, f"{name} cites docs/sam_pt.md, {label}"


def test_no_comment_cites_a_page_outside_the_repository() -> None:
    for room in ("stream", "nodes", "tools", "tests"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if path.name != Path(__file__).name:
                found = re.findall(r"\bspec [a-z](?:\.\d)?\b(?! \w)", path.read_text())
                assert not found, f"{path.relative_to(ROOT)} cites {found[0]!r}; say docs/sam_pt.md, and the label"
