"""The readers of docs/consumers, each as its page says it is started, at a real socket with known masks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import builders
import numpy as np
import pytest
import zmq

from stream.messages import Frame, Masks, Scene
from stream.public_wire.messages import pack_frame, pack_masks, pack_scene

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "consumers"
SIZE = (60, 80)
AREAS = {3: 23 * 17 - 1, 7: 5 * 9, 300: 0}  # by object id; the last one is lost, without a mask
STATES = {3: "tracked", 7: "uncertain", 300: "lost"}
PATIENCE_S = 60
NODE_MODULES = Path(os.environ.get("NODE_MODULES", FOLDER / "node_modules"))


def masks(frame_id: int) -> Masks:
    cut = np.ones((23, 17), np.uint8)
    cut[0, 0] = 0  # no rectangle
    nothing = np.zeros((0, 0), np.uint8)
    objects = [
        builders.object_mask(3, (31, 20, 17, 23), mask=cut, label="Ada", state=STATES[3]),
        builders.object_mask(7, (60, 2, 9, 5), state=STATES[7]),
        builders.object_mask(300, (0, 0, 0, 0), mask=nothing, state=STATES[300]),
    ]
    return builders.masks(frame_id, *objects, size=SIZE)


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """Where masks and scenes are published over and over again, among messages that no reader of masks wants."""
    address = f"ipc://{tmp_path}/p"
    done = threading.Event()

    def publish() -> None:
        with zmq.Context() as context, context.socket(zmq.PUB) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind(address)
            frame_id = 0
            while not done.wait(0.01):
                frame_id += 1
                found = masks(frame_id)
                frame = Frame(stamp=found.stamp, rgb=np.full((*SIZE, 3), 90, np.uint8))
                socket.send_multipart(pack_frame(found.stamp, frame.rgb, 80))
                socket.send_multipart(pack_masks(found, "packbits", 1, frame_id, "test"))
                socket.send_multipart(pack_scene(Scene(frame=frame, masks=found), "packbits", 90, 1, frame_id, "test"))

    thread = threading.Thread(target=publish)
    thread.start()
    yield address
    done.set()
    thread.join()


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(
                f"{module.upper()} IS NOT HERE, its reader is not run: pip install -r docs/consumers/requirements.txt"
            )


def printed(*command: object, cwd: Path) -> list[list[str]]:
    """The words of each line that a command prints."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def check_lines(lines: list[list[str]], messages: int) -> None:
    """Lines `frame id state area`, of every object that has a mask, for as many frames."""
    wanted = {(str(i), STATES[i], str(AREAS[i])) for i in (3, 7)}
    frames = [line[0] for line in lines]
    assert {tuple(line[1:]) for line in lines} == wanted
    assert len(lines) == messages * len(wanted)
    assert len(set(frames)) == messages


def check_areas(line: list[str]) -> None:
    """A line `frame id:area ...`."""
    assert dict(pair.split(":") for pair in line[1:]) == {str(i): str(area) for i, area in AREAS.items()}


def test_supervision_gets_boxes_masks_ids_and_states(endpoint: str, tmp_path: Path) -> None:
    needs("supervision")
    check_lines(printed(sys.executable, FOLDER / "detections.py", endpoint, "--messages", 3, cwd=tmp_path), 3)


def test_opencv_draws_the_masks_into_their_own_frame(endpoint: str, tmp_path: Path) -> None:
    import cv2

    (line,) = printed(sys.executable, FOLDER / "opencv_overlay.py", endpoint, "--save", "still.png", cwd=tmp_path)
    check_areas(line)
    picture = cv2.imread(str(tmp_path / "still.png")).astype(int)
    assert picture.shape[:2] == SIZE
    inside = np.abs(picture[22:41, 34:45] - 90).max(axis=2)
    assert np.median(inside) > 30, "the object is tinted"
    assert np.abs(picture[50:, :25] - 90).max() < 12, "the rest is as it was"


def test_rerun_records_pictures_masks_points_and_states(endpoint: str, tmp_path: Path) -> None:
    needs("rerun")
    lines = printed(
        *(sys.executable, FOLDER / "rerun_view.py", endpoint, "--save", "run.rrd", "--messages", 2), cwd=tmp_path
    )
    assert len(lines) == 2
    check_areas(lines[0])
    assert (tmp_path / "run.rrd").stat().st_size > 1000


def test_node_reads_the_masks(endpoint: str, tmp_path: Path) -> None:
    if shutil.which("node") is None or not (NODE_MODULES / "zeromq").is_dir():
        pytest.skip(
            "NODE.JS OR ITS zeromq IS NOT HERE, so its reader is not run: `npm install zeromq` in docs/consumers; "
            "$NODE_MODULES names another place"
        )
    shutil.copy(FOLDER / "reader.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    check_lines(printed("node", "reader.mjs", endpoint, 3, cwd=tmp_path), 3)


def test_cpp_reads_the_masks(endpoint: str, tmp_path: Path) -> None:
    if shutil.which("g++") is None or not Path("/usr/include/nlohmann/json.hpp").is_file():
        pytest.skip("needs g++ and Debian's libzmq3-dev and nlohmann-json3-dev")
    build = ("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", FOLDER / "reader.cpp", "-lzmq", "-o", "reader")
    printed(*build, cwd=tmp_path)
    check_lines(printed("./reader", endpoint, 3, cwd=tmp_path), 3)
    assert len((FOLDER / "reader.cpp").read_text().splitlines()) <= 60
