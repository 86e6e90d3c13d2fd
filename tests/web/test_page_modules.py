"""The page's modules without a browser: their tests run in Node.js, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from stream.public_wire.codecs import Codec, encode_mask

STATIC = Path(__file__).resolve().parents[2] / "nodes/web/static"
TESTS = Path(__file__).resolve().parent / "page"
NODE = shutil.which("node")
PATIENCE_S = 120


def samples() -> list[dict[str, object]]:
    """Masks as the publisher packs them, and their bits."""
    rng = np.random.default_rng(3)
    boxes = ((0, 0, 1, 1), (3, 5, 17, 9), (20, 0, 44, 48), (0, 0, 64, 48))
    codecs: tuple[Codec, ...] = ("packbits", "coco_rle")
    return [sample(codec, bbox, (48, 64), rng) for codec in codecs for bbox in boxes]


def sample(
    codec: Codec, bbox: tuple[int, int, int, int], size: tuple[int, int], rng: np.random.Generator
) -> dict[str, object]:
    mask = (rng.random((bbox[3], bbox[2])) < 0.6).astype(np.uint8)
    payload = encode_mask(codec, mask, bbox, size)
    return {"codec": codec, "bbox": bbox, "size": size, "payload": list(payload), "bits": mask.ravel().tolist()}


@pytest.mark.skipif(NODE is None, reason="THE PAGE'S MODULES WERE NOT TESTED: Node.js is not installed")
def test_the_modules_of_the_page_pass_their_own_tests(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "page")
    shutil.copytree(TESTS, tmp_path / "page/tests")
    (tmp_path / "page/package.json").write_text('{"type": "module"}')  # or Node.js reads .js files as scripts
    (tmp_path / "page/tests/samples.mjs").write_text(f"export const samples = {json.dumps(samples())};\n")
    tests = sorted(str(p) for p in (tmp_path / "page/tests").glob("*.test.mjs"))
    assert len(tests) >= 5
    answer = subprocess.run(
        [str(NODE), "--test", *tests], capture_output=True, text=True, cwd=tmp_path, timeout=PATIENCE_S, check=False
    )
    assert answer.returncode == 0, answer.stdout[-6000:] + answer.stderr[-2000:]
