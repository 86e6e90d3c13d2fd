"""Imports point one way, and each heavy package has its doors."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from running import ROOT

DOORS = {
    "zmq": {"stream/sockets.py", "stream/transport.py", "stream/service_sockets.py"},
    "torch": {
        "stream/weights/devices.py",
        "stream/weights/loading.py",
        "nodes/tracker/pips",
        "nodes/decoder/sam",
        "tools/bench",
        "tools/goldens",
        "tools/offline",
    },
    "av": {
        "nodes/capture/video.py",
        "nodes/capture/label_images.py",
        "nodes/renderer/recording.py",
        "tools/clips/lens.py",
        "tools/make_pictures.py",
    },
    "numba": {"nodes/decoder/lite/kernels/compiling.py"},
    "rich": {"stream/supervision/dashboard.py", "tools"},
    "httpx2": {"tools/fetch/transfer.py"},
}


def sources():
    return [p for folder in ("stream", "nodes", "tools") for p in sorted((ROOT / folder).rglob("*.py"))]


def imported(path):
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def test_stream_knows_no_node_and_nodes_know_no_other_node():
    for path in sources():
        place = path.relative_to(ROOT).parts
        for module in imported(path):
            words = module.split(".")
            if place[0] == "stream":
                assert words[0] not in ("nodes", "tools", "run_stream"), f"{path} imports {module}"
            if place[0] == "nodes":
                assert words[0] not in ("tools", "run_stream"), f"{path} imports {module}"
                if len(place) > 2 and words[0] == "nodes":
                    assert words[1] == place[1], f"{path} imports {module}"


@pytest.mark.parametrize("package", DOORS)
def test_a_heavy_package_enters_by_its_doors_alone(package):
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        if any(module.split(".")[0] == package for module in imported(path)):
            assert any(place == door or place.startswith(f"{door}/") for door in DOORS[package]), (
                f"{place} imports {package}"
            )


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("stream.supervision.supervisor", ("cv2", "av", "torch")),
        ("stream.supervision.session", ("zmq", "cv2", "av", "torch")),
        ("stream.messages", ("zmq", "cv2", "av", "torch")),
        ("stream.arrays", ("msgspec", "zmq", "cv2", "av", "torch")),
        ("nodes.capture.node", ("torch",)),
        ("nodes.tracker.node", ("av", "torch")),
        ("nodes.tracker.tracking", ("zmq", "av", "torch")),
        ("nodes.decoder.node", ("av", "torch")),
        ("nodes.decoder.segmentation", ("zmq", "av", "torch")),
        ("nodes.publisher.node", ("av", "torch")),
        ("nodes.renderer.drawing", ("zmq", "av", "torch")),
    ],
)
def test_a_module_loads_without_what_it_does_not_need(module, unwanted):
    check = f"import sys, {module}; print([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
