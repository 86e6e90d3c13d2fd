"""Every network of the SAM family on a GPU says what it says on the CPU; small ones but for EdgeTAM, random weights."""

from __future__ import annotations

import functools
import importlib.util

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nodes.decoder.mask_model import Query  # noqa: E402
from stream.messages import ObjectTrack  # noqa: E402

SIDES = {"sam": 256, "hq_sam": 256, "tiny": 1024, "sam2": 256, "edgetam": 512}  # px; tiny: the encoder of MobileSAM
LOGITS, PREDICTED_IOU = 1e-3, 1e-3  # the tolerances of golden numbers; logits of the largest
ROUNDED = 0.05  # mean error of an embedding in half precision, of its mean size
LEAST_IOU = 0.98  # after refinements: one px of a mask moves its box, and the box all others

pytestmark = [pytest.mark.gpu, pytest.mark.parametrize("kind", SIDES)]


def make(kind, device, dtype=torch.float32):
    """Our backend round a small network; None where the package of it is missing."""
    if kind in ("sam2", "edgetam"):
        need("transformers")
        from nodes.decoder.sam2.network import Sam2

        return Sam2(edgetam() if kind == "edgetam" else small_sam2(), device, dtype, SIDES[kind])
    need("segment_anything" if kind == "sam" else "segment_anything_hq")
    from decoder import small_networks

    from nodes.decoder.sam.network import Sam

    return Sam(small_networks.small_network(kind), device, dtype, SIDES[kind])


def need(package):
    """Skip where it is not installed; to import it wants torchvision made ready, which who imports it does."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}")


def small_sam2():
    """A small network."""
    from decoder.sam2.small_sam2 import small_network

    return small_network("sam2")


def edgetam():
    """The whole network with weights by rule: with those of a small one, values grow beyond what halves can hold."""
    need("timm")
    from nodes.decoder.sam2.model_registry import build_network
    from tools.goldens.sam2_weights import sam2_weights

    network = build_network("edgetam", "")
    network.load_state_dict(sam2_weights(0, "edgetam", ""), assign=True)
    return network.eval()


@functools.cache
def frame_of(kind):
    """Smooth noise that needs no resizing: a GPU does that up to a level otherwise."""
    import cv2

    side = SIDES[kind]
    size = (side, side) if kind in ("sam2", "edgetam") else (5 * side // 8, side)
    noise = np.random.default_rng(5).integers(0, 256, (*size, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3.0)


def prompts_for(kind, device, part=slice(None)):
    """Three objects: points alone, points and a box, all with a mask of the last pass."""
    from decoder.small_networks import prompts_of

    height, width = frame_of(kind).shape[:2]
    box = (0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height)
    low_res = torch.full((256, 256), -2.0)
    low_res[60:120, 80:180] = 3.0
    points = [(0.3 * width, 0.4 * height, 1), (0.8 * width, 0.1 * height, 0)]
    objects = [(points[:1], None, None), (points, box, None), (points, box, low_res)]
    prompts = prompts_of(objects[part])
    if prompts.low_res is not None:
        from dataclasses import replace

        prompts = replace(prompts, low_res=prompts.low_res.to(device))
    return prompts


def first_pass(kind, sam, part=slice(None)):
    """Logits (M, 256, 256) and predicted IoU (M,)."""
    answer = sam.predict(sam.encode(frame_of(kind)), prompts_for(kind, sam.device, part))
    return answer.low_res.float().cpu(), answer.iou


def far(found, expected):
    """The largest error, of the largest value or of 1."""
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1))


def test_a_pass_on_the_gpu_is_that_of_the_cpu(kind, gpu):
    expected, iou = first_pass(kind, make(kind, torch.device("cpu")))
    found, found_iou = first_pass(kind, make(kind, gpu))
    assert expected.std() > 1e-3  # there is something to compare
    assert far(found, expected) <= LOGITS
    assert np.abs(found_iou - iou).max() <= PREDICTED_IOU


def test_an_object_among_others_has_the_mask_that_it_has_alone(kind, gpu):
    sam = make(kind, gpu)
    together, _ = first_pass(kind, sam)
    for i in range(3):
        alone, _ = first_pass(kind, sam, slice(i, i + 1))
        assert far(together[i : i + 1], alone) <= LOGITS


def test_all_passes_on_the_gpu_end_in_the_masks_of_the_cpu(kind, gpu):
    expected, found = (masks_of(kind, make(kind, device)) for device in (torch.device("cpu"), gpu))
    for mask, other in zip(found, expected, strict=True):
        union = np.count_nonzero(mask | other)
        assert union == 0 or np.count_nonzero(mask & other) / union >= LEAST_IOU


def masks_of(kind, sam):
    """The masks (H, W) bool of two objects after refinements, by the rules of SAM-PT; twice, so that they repeat."""
    from nodes.decoder.sam.sam_pt import SamPt

    model = SamPt(sam, iou_threshold=0.0)
    rgb = frame_of(kind)
    height, width = rgb.shape[:2]
    queries = []
    for i, (x, y) in enumerate([(0.3, 0.4), (0.7, 0.6)], 1):
        xy = np.array([[x * width + dx, y * height] for dx in (-4, 0, 4)] + [[0.5 * width, 0.05 * height]], np.float32)
        labels = np.array([1, 1, 1, 0], np.uint8)
        queries.append(Query(ObjectTrack(object_id=i, xy=xy, visibility=np.ones(4, np.float32), labels=labels)))
    for _ in range(2):
        answers, passes = model.decode_sparingly(sam.encode(rgb), queries, 3)
        assert passes >= 1
    masks = []
    for answer in answers:
        mask = np.zeros(rgb.shape[:2], bool)
        x, y, w, h = answer.window
        mask[y : y + h, x : x + w] = answer.logits[:h, :w] > 0
        masks.append(mask)
    return masks


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_rounds_and_no_more(kind, precision, gpu):
    if precision == "float16" and gpu.type == "cpu":
        pytest.skip("a CPU does not compute in float16")
    exact = make(kind, torch.device("cpu")).encode(frame_of(kind)).features[0].float()
    found = make(kind, gpu, getattr(torch, precision)).encode(frame_of(kind)).features[0].float().cpu()
    assert found.isfinite().all()
    assert (found - exact).abs().mean() <= ROUNDED * exact.abs().mean()
