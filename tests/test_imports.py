"""Imports point one way, and each heavy package has its doors."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys

import pytest
from running import ROOT

DOORS = {
    "zmq": {"stream/transport"},
    "torch": {
        "stream/weights/compiling.py",
        "stream/weights/cuda_graphs.py",
        "stream/weights/devices.py",
        "stream/weights/loading.py",
        "stream/weights/torchvision_ops.py",
        "nodes/tracker/pips",
        "nodes/tracker/raft",
        "nodes/tracker/tapnet",
        "nodes/tracker/superglue",
        "nodes/tracker/lightglue",
        "nodes/decoder/sam",
        "nodes/decoder/sam2",
        "tools/bench",
        "tools/goldens",
        "tools/offline",
        "tools/fitting/window_fitting.py",
        "tools/fitting/window_model.py",
    },
    "transformers": {"nodes/decoder/sam2", "nodes/tracker/superglue", "tools/goldens"},
    "safetensors": {"stream/weights/loading.py"},
    "kornia": {"nodes/tracker/lightglue"},
    "av": {
        "nodes/capture/decoding",
        "nodes/capture/label_images.py",
        "nodes/renderer/encoding.py",
        "nodes/renderer/folder_recorder.py",
        "nodes/renderer/rtsp_push",
        "nodes/renderer/video_file.py",
        "stream/recordings/segment_file.py",
        "tools/bench/record.py",
        "tools/clips/camera_effects.py",
        "tools/make_pictures.py",
    },
    "numba": {"nodes/decoder/lite/kernels/compiling.py"},
    "rich": {"stream/supervision/dashboard.py", "tools"},
    "aiohttp": {"nodes/web"},
    "aiomqtt": {"nodes/mqtt"},
    "paho": set(),
    "ray": {"stream/supervision/placing/ray_driver.py"},
    "prometheus_client": {"nodes/web"},
    "httpx2": {"tools/fetch/transfer.py"},
    "playwright": {"tools/chromium.py", "tools/make_web_pictures.py"},
}


@functools.cache
def sources():
    return [p for folder in ("stream", "nodes", "tools") for p in sorted((ROOT / folder).rglob("*.py"))]


@functools.cache
def tree(path):
    return ast.parse(path.read_text())


@functools.cache
def imported(path):
    """Every module that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.append(node.module)
    return found


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


@functools.cache
def modules():
    """Every module of ours by its dotted name, with the modules of ours that it imports when it is loaded."""
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in sources()}
    graph = {}
    for name, path in names.items():
        found = set()
        for node in tree(path).body:  # at the top level: what a function imports, it imports later
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        graph[name] = {f for f in found if f in names and f != name}
    return graph


def test_no_modules_import_each_other_in_a_circle():
    graph, done = modules(), set()

    def visit(name, path):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def test_settings_and_weights_know_nothing_of_how_stages_talk():
    below = ("stream.errors", "stream.settings", "stream.weights", "stream.arrays", "stream.crops", "stream.geometry")
    for name, imports in modules().items():
        if name.startswith(("stream.settings", "stream.weights")):
            assert all(other.startswith(below) for other in imports), (name, imports)


def test_stages_and_transport_know_no_supervisor():
    for name, imports in modules().items():
        if name.startswith(("nodes.", "stream.")) and not name.startswith(
            ("stream.supervision", "stream.command_line")
        ):
            assert not any(other.startswith("stream.supervision") for other in imports), (name, imports)


def test_no_folder_holds_more_than_twenty_modules():
    for folder in sorted({p.parent for p in [*sources(), *(ROOT / "tests").rglob("*.py")]}):
        count = len([p for p in folder.glob("*.py") if p.name != "__init__.py"])
        assert count <= 20, f"{folder.relative_to(ROOT)} holds {count} modules"


@pytest.mark.xdist_group("imports")  # they share what they have read
@pytest.mark.parametrize("package", DOORS)
def test_a_heavy_package_enters_by_its_doors_alone(package):
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        if any(module.split(".")[0] == package for module in imported(path)):
            assert any(place == door or place.startswith(f"{door}/") for door in DOORS[package]), (
                f"{place} imports {package}"
            )


def test_transformers_is_named_by_its_doors_alone():  # they import its modules by name, when they are needed
    for path in sources():
        place = path.relative_to(ROOT).as_posix()
        constants = (n.value for n in ast.walk(tree(path)) if isinstance(n, ast.Constant))
        if any(isinstance(c, str) and re.fullmatch(r"transformers(\.\w+)*", c) for c in constants):
            assert any(place.startswith(f"{door}/") for door in DOORS["transformers"]), f"{place} names transformers"


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("stream.supervision.supervisor", ("cv2", "av", "torch", "ray")),
        ("stream.supervision.placing.agent", ("cv2", "av", "torch", "ray")),
        ("stream.supervision.session", ("zmq", "cv2", "av", "torch")),
        ("stream.messages", ("zmq", "cv2", "av", "torch")),
        ("stream.arrays", ("msgspec", "zmq", "cv2", "av", "torch")),
        ("nodes.capture.node", ("torch",)),
        ("nodes.tracker.node", ("av", "torch")),
        ("nodes.tracker.matching.model", ("zmq", "av", "torch")),
        ("nodes.tracker.pips.backend", ("transformers", "kornia")),
        ("nodes.decoder.sam.network", ("transformers", "kornia")),
        ("nodes.tracker.tracking", ("zmq", "av", "torch")),
        ("nodes.decoder.node", ("av", "torch")),
        ("nodes.decoder.segmentation", ("zmq", "av", "torch")),
        ("nodes.decoder.backends", ("torch", "transformers", "safetensors")),
        ("nodes.decoder.lite.backend", ("torch", "transformers", "safetensors")),
        ("nodes.decoder.sam.sam_pt", ("transformers", "segment_anything")),
        ("nodes.decoder.sam.network", ("transformers", "segment_anything")),
        ("nodes.publisher.node", ("av", "torch")),
        ("stream.command_line", ("aiohttp", "prometheus_client", "aiomqtt", "paho", "ssl", "cv2", "av", "torch")),
        ("stream.supervision.supervisor", ("aiomqtt", "paho", "ssl", "http", "asyncio")),
        ("stream.supervision.supervisor", ("stream.service", "stream.recordings", "nodes")),
        ("nodes.publisher.node", ("aiohttp", "prometheus_client", "aiomqtt", "paho", "http.client")),
        ("nodes.proxy.node", ("aiohttp", "aiomqtt", "paho", "http.client")),
        ("nodes.publisher.node", ("nodes.publisher.zones", "nodes.publisher.event_stream", "stream.recordings")),
        ("nodes.capture.node", ("stream.recordings",)),
        ("nodes.renderer.node", ("nodes.renderer.rtsp_push", "nodes.renderer.folder_recorder", "subprocess")),
        ("nodes.renderer.node", ("stream.recordings",)),
        ("nodes.renderer.rtsp_push.pusher", ("av", "cv2", "torch")),
        ("nodes.mqtt.node", ("cv2", "av", "torch")),
        ("nodes.webhooks.node", ("aiohttp", "aiomqtt", "cv2", "av", "torch")),
        ("nodes.web.access.passwords", ("aiohttp", "zmq", "cv2")),
        ("nodes.web.node", ("av", "torch")),
        ("stream.drawing.painter", ("zmq", "av", "torch")),
    ],
)
def test_a_module_loads_without_what_it_does_not_need(module, unwanted):
    check = f"import sys, {module}; print([m for m in {unwanted!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
