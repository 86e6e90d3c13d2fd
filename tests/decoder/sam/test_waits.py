"""How often the host waits for a GPU, from a frame to its packed masks; and what a GPU without memory does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import track, tracks
from decoder.small_networks import small_network, small_sam
from weights.repeated_recordings import Repeated
from weights.simulated_gpu import simulated_gpu, waits

from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.sam_pt import SamPt
from nodes.decoder.segmentation import Segmenter
from stream.errors import ModelError
from stream.public_wire.messages import pack_masks, unpack_masks
from stream.settings.options import SegmenterOptions

SIZE = (150, 200)


@pytest.fixture
def device(monkeypatch):
    """A GPU whose recordings are computed anew."""
    monkeypatch.setattr("stream.weights.cuda_graphs.Recording", Repeated)
    monkeypatch.setattr("torch.cuda.graph_pool_handle", lambda: None)
    with simulated_gpu(monkeypatch) as there:
        yield there


def frame_with(count, frame_id):
    """A frame of noise, with points of so many objects."""
    rng = np.random.default_rng(frame_id)
    objects = [track(i, rng.uniform(5, 145, (4, 2)), labels=[1, 1, 1, 0]) for i in range(1, count + 1)]
    return tracks(frame_id, *objects, size=SIZE, rgb=rng.integers(0, 255, (*SIZE, 3), np.uint8))


def segmenter_on(network, **options):
    return Segmenter(SamPt(network, iou_threshold=0, **options), SegmenterOptions(check_masks=False))


@pytest.mark.parametrize("kind", ["sam", "hq_sam"])
@pytest.mark.parametrize(("count", "refinements"), [(1, 12), (5, 12), (20, 3)])
def test_from_a_frame_to_its_packed_masks_the_host_waits_twice(kind, count, refinements, device):
    segmenter = segmenter_on(Sam(small_network(kind), device, side=256), refinement_passes=refinements)
    for i in range(2):  # the first captures
        waits.clear()
        masks, _ = segmenter.step(frame_with(count, i))
        received = unpack_masks(pack_masks(masks, "packbits", 1, i, "p"))
    assert len(received.masks.objects) == count
    assert any(o.area for o in received.masks.objects)
    assert waits.total() == 2, waits


def test_the_next_frame_is_encoded_without_a_wait(device):
    sam = Sam(small_network(), device, side=256)
    waits.clear()
    for i in range(2):
        sam.encode(frame_with(1, i).frame.rgb)
    assert not waits


def test_what_makes_a_host_wait_is_seen(device):
    waits.clear()
    there = torch.arange(4.0, device=device)  # none
    there + torch.ones(4).to(device)  # from memory that is not pinned
    there[there > 1].sum().item()
    there.nonzero()
    there.cpu()
    there.to("cpu", non_blocking=True)  # none
    assert waits.total() == 5, waits


class Full:
    """Recordings that find no memory."""

    def recording(self, key, function, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")


def test_a_frame_whose_passes_find_no_memory_is_passed_over_and_the_next_one_is_decoded(caplog):
    sam = small_sam()
    sam.is_asynchronous, sam.recordings = True, Full()
    segmenter = segmenter_on(sam, refinement_passes=1)
    with pytest.raises(ModelError, match=r"^out of memory decoding masks: CUDA out of memory[^\n]*$"):
        segmenter.model.decode(sam.encode(frame_with(1, 0).frame.rgb), segmenter.prepare(frame_with(1, 0)).queries)
    assert segmenter.step(frame_with(1, 0))[0] is None
    assert segmenter.failed == 1
    assert "frame 0 is not decoded: out of memory decoding masks" in caplog.text
    sam.recordings = None
    assert segmenter.step(frame_with(1, 1))[0].objects[0].area
