"""A device that runs out of memory in any part of a point tracker: that frame is passed over, the feed goes on."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from tracker.every_tracker import LiveFeed
from tracker.weights_by_rule import keys_of

torch = pytest.importorskip("torch")

PARTS = {  # the modules that run first in each part of a tracker, by a path from its model
    "pips, encoding": "network.fnet",
    "pips, following": "network.delta_block",
    "raft, encoding": "network.module.feature_encoder",
    "raft, following": "network.module.update_block",
    "tapnet, following": "network.stem",  # its encoding only resizes
    "superglue, encoding": "matcher.module.keypoint_detector.encoder",
    "superglue, following": "matcher.module.gnn.layers.0",
    "lightglue, encoding": "matcher.disk.unet",
    "lightglue, following": "matcher.lightglue.transformers.0",
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """TapNet sees 64x64 px: it is the same at any size, and 16 times cheaper."""
    from nodes.tracker.tapnet import backend

    monkeypatch.setattr(backend, "SIDE", 64)


@contextmanager
def without_memory(model, path):
    """What is at `path`, and all below it, asks for more than there is."""

    def run_out(module, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    module = model
    for name in path.split("."):
        module = module[int(name)] if name.isdigit() else getattr(module, name)
    hooks = [m.register_forward_pre_hook(run_out) for m in module.modules()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@pytest.mark.parametrize("part", PARTS)
def test_a_frame_without_memory_is_passed_over_and_the_next_one_is_tracked(part, tmp_path, caplog):
    backend, _, what = part.partition(", ")
    feed = LiveFeed(keys_of(backend, tmp_path))
    feed.add(1)
    feed.run(6)
    assert feed.stage.progress().counters["failed"] == 0
    before = feed.tracks[-1].frame.stamp.frame_id
    with without_memory(feed.stage.tracker.model, PARTS[part]):
        feed.run(4)
    assert "out of memory" in caplog.text
    counters = feed.stage.progress().counters
    if what == "encoding":
        assert counters["failed"] > 0
        assert feed.tracks[-1].frame.stamp.frame_id == before
    else:  # its points wait where they are, unseen
        assert counters["failed"] == 0
        assert not feed.tracks[-1].objects[0].visibility.any()
    feed.run(6)
    assert feed.stage.progress().counters["failed"] == counters["failed"]
    newest = feed.tracks[-1]
    assert newest.frame.stamp.frame_id > before + 4
    assert [o.object_id for o in newest.objects] == [1]
    assert newest.objects[0].visibility.any()
