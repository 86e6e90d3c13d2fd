"""`sam_prompting*.npz`: every call of SAM that the reference makes for a case, against ours on the same fake embedding.

We prompt all objects of a case together, the reference one after the other: calls are matched by their points. On a GPU
live masks come from `device_passes.py`, which reads nothing back between passes: there its masks are compared as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nodes.decoder.combining import exclusive
from nodes.decoder.mask_model import Logits
from nodes.decoder.sam.device_passes import DecodedCrop, decode_on_device
from nodes.decoder.sam.network import Sam
from nodes.decoder.sam.prompting import ObjectPrompt, PassResults, PassRules, run_passes
from nodes.decoder.sam.protocol import PADDING, DevicePrompts, SamAnswer, SamEmbedding, SamPrompts
from stream.arrays import Array
from stream.geometry import Size
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.sam_weights import embedding_of, find_sam

OPENING = 2  # passes that are compared closely; each refinement may multiply rounding
CLOSE, REFINED = 1e-3, 5e-2  # of IoU and logits
POINT_PX, BOX_PX = 1e-3, 2.0
AREA = 0.005  # share
SMALL_PX = 400  # of smaller masks two px may differ
LABEL_PX = 1e-4  # share of a label image's px
REFERENCE_SIDE = 1024  # px, longest: the box of a frame of any other size is not scaled
NO_POINT = -9


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """The worst case of every quantity, and all that are beyond their tolerance."""
    golden, sam = Golden(path), find_sam(weights)
    rows, masks = [], {}
    for case in sorted({name.rpartition("/")[0] for name in golden if name.endswith("/config")}):
        height, width = golden[f"{case}/original_size"].tolist()
        embedding = embedding_of(sam, int(golden[f"{case}/embedding_seed"]), (height, width))
        more, masks[case] = compare_case(golden, case, sam, embedding)
        rows += more
    combined = (
        _compare_combined(golden, masks[str(golden["combine/source_case"])]) if "combine/index_mask" in golden else []
    )
    return worst(rows) + combined


def worst(rows: Sequence[Row]) -> list[Row]:
    """Of rows named `case: quantity`, those beyond their tolerance, and of every quantity the one nearest to it."""
    nearest: dict[tuple[str, float], Row] = {}
    for row in rows:
        key = row.quantity.partition(": ")[2], row.tolerance
        if row.ok and (key not in nearest or row.error > nearest[key].error):
            nearest[key] = row
    return [row for row in rows if not row.ok or row in nearest.values()]


def compare_case(golden: Golden, case: str, sam: Sam, embedding: SamEmbedding) -> tuple[list[Row], Array]:
    """The rows of one case, and the logits of its objects (M, H, W)."""
    prompts, rules = _asked(golden, case)
    recorder = _Recorder(sam, prompts)
    results = run_passes(recorder, embedding, prompts, rules, np.random.default_rng(0))
    calls = [call for of_object in recorder.calls for call in of_object]
    logits = sam.upscale(results.low_res, embedding).cpu().numpy()
    logits[~results.has_mask] = -np.inf
    rows = [differing(f"{case}: calls", len(calls), golden[f"{case}/n_calls"])]
    if rows[0].ok and calls:
        rows += _compare_calls(golden, case, calls, sam, embedding)
    rows += _compare_final(golden, case, results, logits)
    if sam.is_asynchronous:
        rows += compare_device_passes(golden, case, sam, embedding)
    return rows, logits


def _asked(golden: Golden, case: str) -> tuple[list[ObjectPrompt], PassRules]:
    """The objects of a case, and how their passes are run."""
    config = json.loads(str(golden[f"{case}/config"]))
    positives, negatives = config.get("positive_points_per_mask", 8), config.get("negative_points_per_mask", 1)
    labels = np.repeat(np.array([1, 0], np.uint8), [positives, negatives])
    prompts = [
        ObjectPrompt(xy[codes == 1], labels[codes == 1], negatives > 0)
        for xy, codes in zip(golden[f"{case}/points"], golden[f"{case}/visibility"], strict=True)
    ]
    rules = PassRules(
        refinement_passes=config.get("iterative_refinement_iterations", 12),
        iou_threshold=config.get("sam_iou_threshold", -np.inf),
        others_as_negatives=config.get("add_other_objects_positive_points_as_negative_points", True),
        max_others=config.get("max_other_objects_positive_points"),
        prompt_by_negatives=True,
    )
    return prompts, rules


@dataclass(frozen=True)
class _Call:
    """One object in one pass."""

    pass_: int
    xy: Array  # (N, 2), frame px
    labels: Array  # (N,)
    box: Array  # (4,)
    has_mask_input: bool
    low_res: torch.Tensor  # (256, 256)
    iou: float


class _Recorder:
    """SAM, called as the reference calls it, and every call of it."""

    def __init__(self, sam: Sam, prompts: Sequence[ObjectPrompt]) -> None:
        self.sam, self.prompts = sam, prompts
        self.device, self.side, self.is_asynchronous = sam.device, sam.side, False
        self.calls: list[list[_Call]] = [[] for _ in prompts]

    def encode(self, rgb: Array) -> SamEmbedding:
        """As it is."""
        return self.sam.encode(rgb)

    def upscale(self, low_res: torch.Tensor, embedding: SamEmbedding) -> torch.Tensor:
        """As it is."""
        return self.sam.upscale(low_res, embedding)

    def predict(self, embedding: SamEmbedding, prompts: SamPrompts) -> SamAnswer:
        """The answer, with the box unscaled as in the reference; it only shows where frames have another size."""
        answer = self.sam.predict(embedding, replace(prompts, boxes=prompts.boxes * np.float32(unscaled(embedding))))
        for row, labels in enumerate(prompts.labels):
            used = labels != PADDING
            xy, own = prompts.xy[row][used], self.calls[self._object(prompts.xy[row][used])]
            box, has = prompts.boxes[row], bool(prompts.has_low_res[row])
            low_res, iou = answer.low_res[row].clone(), float(answer.iou[row])
            own.append(_Call(len(own), xy, labels[used], box, has, low_res, iou))
        return answer

    def _object(self, xy: Array) -> int:
        """The object whose first point this is; without any, the one that has no positive point."""
        for m, prompt in enumerate(self.prompts):
            if len(xy) and len(prompt.xy) and np.array_equal(prompt.xy[0], xy[0]):
                return m
        return next(m for m, prompt in enumerate(self.prompts) if not (prompt.labels == 1).any())


def unscaled(embedding: SamEmbedding) -> float:
    """What a box in frame px is multiplied with to end up where the reference puts it."""
    return max(embedding.frame_size) / REFERENCE_SIDE


def _compare_calls(golden: Golden, case: str, calls: Sequence[_Call], sam: Sam, embedding: SamEmbedding) -> list[Row]:
    longest = golden[f"{case}/call_points"].shape[1]
    scale = np.array(embedding.input_size[::-1]) / np.array(embedding.frame_size[::-1])
    xy = np.full((len(calls), longest, 2), np.nan)
    labels = np.full((len(calls), longest), NO_POINT)
    for i, call in enumerate(calls):
        xy[i, : len(call.xy)], labels[i, : len(call.labels)] = call.xy * scale, call.labels
    opening = np.array([call.pass_ < OPENING for call in calls])
    ious, low_res = np.array([c.iou for c in calls]), torch.stack([c.low_res for c in calls])
    sub, areas = low_res[:, ::8, ::8].cpu().numpy(), _areas(sam, low_res, embedding)
    rows = [
        farthest(f"{case}: points, px", xy, golden[f"{case}/call_points"], POINT_PX),
        differing(f"{case}: labels", labels, golden[f"{case}/call_labels"]),
        differing(f"{case}: mask input", [c.has_mask_input for c in calls], golden[f"{case}/call_has_mask_input"]),
        farthest(f"{case}: boxes, px", np.stack([c.box for c in calls]), golden[f"{case}/call_box"], BOX_PX),
    ]
    for which, name, tolerance in ((opening, "passes 1-2", CLOSE), (~opening, "refinement", REFINED)):
        if which.any():
            theirs = golden[f"{case}/call_iou"][which], golden[f"{case}/call_low_res_sub"][which]
            rows.append(farthest(f"{case}: IoU, {name}", ious[which], theirs[0], tolerance))
            rows.append(farthest(f"{case}: logits, {name}", sub[which], theirs[1], tolerance))
    return [*rows, _areas_row(f"{case}: mask areas, share", areas, golden[f"{case}/call_mask_area"])]


def _compare_final(golden: Golden, case: str, results: PassResults, logits: Array) -> list[Row]:
    tolerance = _final_tolerance(results.passes)
    return [
        farthest(f"{case}: final logits", logits[:, ::16, ::16], golden[f"{case}/final_logits_sub"], tolerance),
        farthest(f"{case}: final score", results.iou, golden[f"{case}/final_scores"], tolerance),
        _areas_row(f"{case}: final area, share", (logits > 0).sum(axis=(1, 2)), golden[f"{case}/final_area"]),
    ]


def _final_tolerance(passes: Array) -> float:
    return REFINED if bool((passes > OPENING).any()) else CLOSE


class _UnscalingSam:
    """SAM as `decode_on_device` calls it, with the box unscaled as in the reference."""

    def __init__(self, sam: Sam) -> None:
        self.sam, self.device, self.side, self.is_asynchronous = sam, sam.device, sam.side, True
        self.encode, self.predict, self.upscale = sam.encode, sam.predict, sam.upscale
        self.recordings, self.shared_tensors = sam.recordings, sam.shared_tensors

    def predict_unread(
        self, shared: Sequence[torch.Tensor], embedding: SamEmbedding, prompts: DevicePrompts
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As it is, but for the box."""
        return self.sam.predict_unread(shared, embedding, replace(prompts, boxes=prompts.boxes * unscaled(embedding)))


def compare_device_passes(golden: Golden, case: str, sam: Sam, embedding: SamEmbedding) -> list[Row]:
    """What the passes that read nothing back end with; of the logits, those in each mask's window."""
    prompts, rules = _asked(golden, case)
    decoded = decode_on_device(_UnscalingSam(sam), embedding, prompts, rules, np.random.default_rng(0))
    passes = np.array([one.passes for one in decoded])
    tolerance, theirs = _final_tolerance(passes), golden[f"{case}/final_logits_sub"]
    ours = np.stack([_in_window(one, embedding.frame_size, sub) for one, sub in zip(decoded, theirs, strict=True)])
    areas = np.array([0 if one.logits is None else np.count_nonzero(one.logits > 0) for one in decoded])
    return [
        differing(f"{case}: calls, on the device", passes.sum(), golden[f"{case}/n_calls"]),
        farthest(f"{case}: final logits, on the device", ours, theirs, tolerance),
        farthest(
            f"{case}: final score, on the device", [o.iou for o in decoded], golden[f"{case}/final_scores"], tolerance
        ),
        _areas_row(f"{case}: final area, share, on the device", areas, golden[f"{case}/final_area"]),
    ]


def _in_window(decoded: DecodedCrop, size: Size, golden: Array) -> Array:
    """Every 16th px of an object's logits; where they stayed on the device, the golden ones, but at most 0."""
    inside = np.full(size, np.nan)
    if decoded.window is not None and decoded.logits is not None:  # else the mask is empty, or was dropped
        x, y, width, height = decoded.window
        inside[y : y + height, x : x + width] = decoded.logits
    sub = inside[::16, ::16]
    return np.asarray(np.where(np.isnan(sub), np.minimum(golden, 0), sub))


def _compare_combined(golden: Golden, logits: Array) -> list[Row]:
    """Several objects merged into one label image: here by the largest positive logit."""
    theirs = golden["combine/index_mask"]
    labels, resized = merge(logits, (theirs.shape[0], theirs.shape[1]))
    differ = float(np.mean(labels != theirs))
    return [
        Row("combine: label image, share of px", differ, LABEL_PX),
        farthest("combine: logits", resized[:, ::16, ::16], golden["combine/logits_sub"], REFINED),
    ]


def merge(logits: Array, size: Size) -> tuple[Array, Array]:
    """(H, W) labels of M objects at another size, and the logits (M, H, W) there, as they would be decoded live."""
    resized = torch.nn.functional.interpolate(torch.from_numpy(logits)[:, None], size, mode="bilinear")[:, 0].numpy()
    window = (0, 0, size[1], size[0])
    labels = np.zeros(size, np.uint8)
    for m, mask in enumerate(exclusive(size, [Logits(window, one, 1.0) for one in resized]), start=1):
        labels[mask > 0] = m
    return labels, resized


def _areas(sam: Sam, low_res: torch.Tensor, embedding: SamEmbedding) -> Array:
    """(B,) px of masks at frame size, one at a time."""
    return np.array([int((sam.upscale(one[None], embedding) > 0).sum()) for one in low_res])


def _areas_row(quantity: str, ours: Any, golden: Array) -> Row:
    """The largest difference of areas as a share of the golden one; an empty mask must be empty."""
    theirs = golden.astype(np.float64)
    shares = np.where(theirs > 0, np.abs(ours - theirs) / np.maximum(theirs, SMALL_PX), ours)
    return Row(quantity, float(shares.max(initial=0.0)), AREA)
