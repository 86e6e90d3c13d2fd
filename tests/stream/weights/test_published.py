"""The table of published weights, and the file that a name or a path stands for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

from stream.errors import CheckpointError, ConfigError
from stream.weights.published import PUBLISHED, find, folder, readable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder().mkdir(parents=True)
    return folder()


def test_the_cache_is_where_torch_hub_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "/big/torch")
    assert folder() == Path("/big/torch/hub/checkpoints")
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    assert folder() == Path("/big/cache/torch/hub/checkpoints")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert folder() == Path("/home/ada/.cache/torch/hub/checkpoints")


def test_every_row_of_the_table_is_complete() -> None:
    assert list(PUBLISHED) == [c.name for c in PUBLISHED.values()]
    assert len({c.file for c in PUBLISHED.values()}) == len(PUBLISHED) == 20
    matchers = ("superpoint", "superglue", "disk", "lightglue_disk")
    for c in PUBLISHED.values():
        no_md5 = c.name in ("raft", *matchers) or c.name.startswith(("sam2_", "edgetam"))
        assert re.fullmatch(r"" if no_md5 else r"[0-9a-f]{32}", c.md5), c.name
        assert re.fullmatch({"raft": r"[0-9a-f]{8}", "tapnet": r""}.get(c.name, r"[0-9a-f]{64}"), c.sha256), c.name
        assert all(url.startswith("https://") for url in c.urls)
        assert c.urls
        assert c.size > 1_000_000 or c.name in ("raft", "tapnet", "edgetam", "superglue")
        assert c.licence in ("MIT", "Apache-2.0", "BSD-3-Clause") or c.terms, "what a licence forbids is told"


def test_the_names_of_sams_files_begin_with_their_md5() -> None:
    files = [PUBLISHED[f"sam_vit_{kind}"].file for kind in "blh"]
    assert files == ["sam_vit_b_01ec64.pth", "sam_vit_l_0b3195.pth", "sam_vit_h_4b8939.pth"]


def test_a_fetched_file_is_found_by_its_name(cache: Path) -> None:
    (cache / "mobile_sam.pt").write_bytes(b"weights")
    assert find("mobile_sam") == cache / "mobile_sam.pt"


def test_a_given_path_wins_over_the_fetched_file(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "mobile_sam.pt").write_bytes(b"weights")
    (tmp_path / "mine.pt").write_bytes(b"mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("mobile_sam", str(tmp_path / "mine.pt")) == tmp_path / "mine.pt"
    assert find("mobile_sam", "~/mine.pt") == tmp_path / "mine.pt"


def test_a_given_folder_stands_for_the_published_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "reference_model").mkdir()
    with pytest.raises(CheckpointError, match=r"tracker.checkpoint: there is no model-000200000.pth in the folder"):
        find("pips", str(tmp_path / "reference_model"))
    weights = tmp_path / "reference_model" / "model-000200000.pth"
    weights.write_bytes(b"weights")
    assert find("pips", str(weights.parent)) == weights


def test_what_is_missing_names_the_command_that_fetches_it(cache: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        find("sam_vit_b")
    assert caught.value.exit_code == 3
    words = str(caught.value)
    assert f"{cache / 'sam_vit_b_01ec64.pth'}: not there" in words
    assert "`python tools/fetch_weights.py sam_vit_b` gets it (358 MiB)" in words
    assert "--set decoder.checkpoint=FILE" in words


def test_a_broken_off_fetch_is_told_apart_from_none(cache: Path) -> None:
    (cache / "sam_vit_b_01ec64.pth.part").write_bytes(bytes(20 << 20))
    with pytest.raises(CheckpointError, match=r"only 20 MiB of it came so far; `python .* gets the rest \(358 MiB\)"):
        find("sam_vit_b")


def test_a_given_path_that_is_missing_is_never_replaced_by_the_fetched_file(cache: Path, tmp_path: Path) -> None:
    (cache / "mobile_sam.pt").write_bytes(b"weights")
    with pytest.raises(CheckpointError, match=r"decoder.checkpoint is .*gone.pt: not there"):
        find("mobile_sam", str(tmp_path / "gone.pt"))


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'sam_vit_b'"):
        find("sam_vitb")


@pytest.mark.parametrize(
    ("size", "words"), [(0, "size unknown"), (12, "12 bytes"), (1 << 20, "1.0 MiB"), (375_042_383, "358 MiB")]
)
def test_sizes_are_readable(size: int, words: str) -> None:
    assert readable(size) == words
    assert readable(2_564_550_879) == "2.4 GiB"


def test_the_table_loads_neither_torch_nor_any_other_package() -> None:
    check = (
        "import sys, stream.weights.published; "
        "print([m for m in ('torch', 'numpy', 'msgspec', 'rich', 'urllib.request') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_on_weights_has_the_table() -> None:
    page = (ROOT / "docs" / "weights.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w.-]+)` \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    assert [row[:3] for row in rows] == [(c.name, c.file, readable(c.size)) for c in PUBLISHED.values()]
    for row, c in zip(rows, PUBLISHED.values(), strict=True):
        assert c.terms.removeprefix("for ") in row[3] if c.terms else row[3] == c.licence, c.name
    for c in PUBLISHED.values():
        assert c.md5 in page
        assert c.sha256 in page
