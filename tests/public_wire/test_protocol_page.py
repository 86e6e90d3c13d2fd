"""docs/protocol.md tells the truth: its bytes are those we write, and its programs read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from public_wire.ellipse_masks import STAMP, one_object

from stream.arrays import Array
from stream.messages import Masks
from stream.public_wire import headers
from stream.public_wire.codecs import Codec
from stream.public_wire.messages import pack_masks, unpack_masks

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
TOLD = "42 1 tracked [2, 3, 5, 2] 8 px\n42 2 lost [0, 0, 0, 0] 0 px\n"


def blocks(language: str) -> list[str]:
    """The fenced blocks of the page in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def printed_parts() -> list[bytes]:
    """The parts of the example, from their hex."""
    lines = [re.findall(r"^[0-9a-f]{4}  ([0-9a-f ]+?)  ", block, re.M) for block in blocks("hexdump")]
    return [bytes.fromhex("".join(hexadecimal)) for hexadecimal in lines]


def drawn_mask() -> Array:
    """The mask that the page draws with # and dots."""
    picture = re.search(r"^y 0(.*?)```", PAGE, re.M | re.S)
    assert picture
    return np.array([[c == "#" for c in re.sub(r"[^.#]", "", row)] for row in picture[1].splitlines()], np.uint8)


def example() -> Masks:
    """The message that the page describes in words."""
    lost = np.zeros((6, 8), np.uint8)
    gone = replace(one_object(2, lost, [], "lost", 0.0), reason="no mask found")
    objects = (one_object(1, drawn_mask(), [[4.5, 3.5, 1, 0.98]]), gone)
    return Masks(stamp=STAMP, size=(6, 8), objects=objects, passed_over=1).with_labels({1: "cat"})


def packed(codec: Codec) -> list[bytes]:
    return pack_masks(example(), codec, 5_040_000_000, 17, "9f86d081884c7d65")


def test_the_example_is_what_we_write() -> None:
    assert printed_parts() == packed("packbits")


def test_the_example_is_what_we_read() -> None:
    received = unpack_masks(printed_parts())
    assert np.array_equal(received.label_image(), drawn_mask())
    assert (received.publisher, received.sequence, received.masks.stamp) == ("9f86d081884c7d65", 17, STAMP)


def test_the_json_of_the_example_is_that_of_its_bytes() -> None:
    header = next(block for block in blocks("json") if "sam-pt-live/masks" in block)
    assert json.loads(header) == json.loads(printed_parts()[1])


def test_the_run_lengths_of_the_example_are_what_we_write() -> None:
    example = re.search(r"the string `` (.+?) ``", PAGE)
    assert example
    assert packed("coco_rle")[2] == example[1].encode()


@pytest.mark.parametrize("header", [headers.MasksHeader, headers.ObjectHeader, headers.SceneHeader])
def test_the_page_has_every_field_of_the_header(header: Any) -> None:
    for name in header.__struct_encode_fields__:
        assert re.search(rf"^\|[^|]*`{name}`", PAGE, re.M), f"{name} is missing in docs/protocol.md"


def test_the_python_consumer_reads_the_example(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    messages = iter([printed_parts()])

    class Sub:
        def connect(self, endpoint: str) -> None: ...
        def subscribe(self, topic: str) -> None: ...
        def recv_multipart(self) -> list[bytes]:
            return next(messages)  # StopIteration ends the endless loop

    zmq = types.SimpleNamespace(SUB=2, Context=lambda: types.SimpleNamespace(socket=lambda kind: Sub()))
    monkeypatch.setitem(sys.modules, "zmq", zmq)
    consumer = next(block for block in blocks("python") if "zmq.SUB" in block)
    with pytest.raises(StopIteration):
        exec(compile(consumer, "docs/protocol.md", "exec"), {})
    assert capsys.readouterr().out == TOLD


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_javascript_consumer_reads_the_example(tmp_path: Path) -> None:
    fake = tmp_path / "node_modules" / "zeromq"
    fake.mkdir(parents=True)
    parts = json.dumps([part.hex() for part in printed_parts()])
    (fake / "index.js").write_text(
        "exports.Subscriber = class { connect() {} subscribe() {} async *[Symbol.asyncIterator]() {"
        f' yield {parts}.map((part) => Buffer.from(part, "hex")); }} }};'
    )
    (tmp_path / "consumer.js").write_text(blocks("javascript")[0])
    command = ["node", "consumer.js"]
    printed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=30).stdout
    assert printed.replace("[ ", "[").replace(" ]", "]") == TOLD  # Node spaces its lists
