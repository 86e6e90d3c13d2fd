"""A prompt's crop in, cues per pixel out: what speaks for a pixel when all that is known is a few clicks or a box.

Geodesic distances through the colours, colour counts of what is surely and of what is probably the object, GrabCut's
answer; and, where a frame came before, how each pixel moves: then GrabCut is asked again, of a picture whose third
channel is motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import kernels, poses
from nodes.decoder.lite.cues import BINS_OF_RESIDUAL, signed_distance, slack_of, texture
from nodes.decoder.lite.frame_analysis import Picture, pixels
from nodes.decoder.lite.prompt_crop import Crop, grabcut
from nodes.decoder.lite.view import CODES
from stream import geometry
from stream.arrays import Array

NAMES = (
    *("nearer", "way_from_ours", "way_from_theirs", "place_a", "place_b", "place_c"),
    *("seeds", "mean_seeds", "probable", "mean_probable", "likely", "cut", "cut_depth"),
    *("off_ground", "moves_alike", "mean_moves_alike", "off_object", "moving_cut", "moving_cut_depth", "moving_nearer"),
    *("moves", "edge", "rough", "few"),
)
ROW = {name: i for i, name in enumerate(NAMES)}
FOREGROUND_LEAD = 0.9  # a pixel is probably the object's when it is this much nearer to ours than to theirs
REACH = 30.0  # of a geodesic way that counts as next to nothing
LIKELY_SHARE = 0.7  # of a box: what is likely the object's before GrabCut
COLLAPSED = 0.3  # of a box: less than this surviving is GrabCut giving up
LEAST = 1.0  # px that nothing known weighs


@dataclass
class PromptCues:
    """The planes (C, h, w), and GrabCut's best answer (h, w) uint8: what a mask is if nothing better is known."""

    planes: Array
    cut: Array
    rgb: Array

    @property
    def flat(self) -> Array:
        """(C, n)."""
        return self.planes.reshape(len(NAMES), -1)


@dataclass(frozen=True)
class Seeds:
    """What a prompt says of each pixel of a crop."""

    trimap: Array  # (h, w) uint8, GrabCut's: sure and open parts
    ours: Array  # (h, w) bool, what ways of the object start from
    places: list[Array]  # up to three planes of where a pixel lies
    few: float = 0.0  # 0: eight clicks or more, or a box; 1: a single click
    centre: Array | None = None  # (h, w) of a box: how near its middle, -0.5..1; None: clicks tell enough

    def opened(self, from_ours: Array, from_theirs: Array) -> Array:
        """(h, w) GrabCut's trimap, its open part divided into probable object and probable surroundings."""
        trimap = self.trimap.copy()
        open_part = (trimap == cv2.GC_PR_BGD) | (trimap == cv2.GC_PR_FGD)
        likely = from_ours < FOREGROUND_LEAD * from_theirs
        if self.centre is not None:
            score = self.score(from_theirs)
            likely = score > np.quantile(score[open_part], 1 - LIKELY_SHARE)
        trimap[open_part] = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[open_part]
        return trimap

    def score(self, from_theirs: Array) -> Array:
        """(h, w) of a box: what differs from its border and lies near its middle is likely the object's."""
        assert self.centre is not None, "only a box has a middle"
        top90 = max(float(np.percentile(from_theirs[self.trimap != cv2.GC_BGD], 90)), 1e-3)
        return np.asarray(from_theirs / top90 + 0.6 * self.centre)

    def cut(self, picture: Array, trimap: Array) -> Array:
        """(h, w) uint8: GrabCut's answer; guarded, because from a box it may collapse to nothing."""
        mask = grabcut(picture, trimap)
        if self.centre is None:
            return mask
        enough = COLLAPSED * (self.trimap != cv2.GC_BGD).sum()
        if mask.sum() < enough:
            forced = trimap.copy()
            forced[(self.centre > 0.5) & (trimap != cv2.GC_BGD)] = cv2.GC_FGD
            mask = grabcut(picture, forced)
        return mask if mask.sum() >= enough else (trimap == cv2.GC_PR_FGD).astype(np.uint8)


def gather(crop: Crop, seeds: Seeds, picture: Picture | None) -> PromptCues:
    """Every cue; picture: the frame with its flow, if there is a frame before it."""
    trimap, ours = seeds.trimap, seeds.ours
    planes = np.zeros((len(NAMES), crop.h, crop.w), np.float32)

    def put(name: str, plane: Array) -> None:
        planes[ROW[name]] = plane

    lab, sure_theirs = crop.lab(), trimap == cv2.GC_BGD
    from_ours, from_theirs = kernels.geodesic(lab, ours), kernels.geodesic(lab, sure_theirs)
    put("nearer", np.log((from_theirs + REACH) / (from_ours + REACH)))
    put("way_from_ours", np.log1p(from_ours / 100))
    put("way_from_theirs", np.log1p(from_theirs / 100))
    for name, plane in zip(("place_a", "place_b", "place_c"), seeds.places, strict=False):
        put(name, plane)
    trimap = seeds.opened(from_ours, from_theirs)
    probable = ((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.float32)
    small = cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2LAB)
    for name, weight in (("seeds", (ours | sure_theirs).astype(np.float32)), ("probable", np.ones_like(probable))):
        plane = _colour_ratio(small, probable if name == "probable" else ours.astype(np.float32), weight)
        put(name, plane)
        put(f"mean_{name}", cv2.blur(plane, (7, 7)))
    put("likely", cv2.blur(probable, (5, 5)))
    cut = seeds.cut(cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2BGR), trimap)
    _shape(planes, "cut", cut)
    _shape(planes, "moving_cut", cut)
    put("moving_nearer", planes[ROW["nearer"]])
    edge, rough = texture(small)
    planes[ROW["few"]] = seeds.few
    put("edge", edge)
    put("rough", rough)
    if picture is not None:
        cut = _motion(planes, crop, seeds, cut, picture)
    return PromptCues(planes, cut, crop.rgb)


def _motion(planes: Array, crop: Crop, seeds: Seeds, cut: Array, picture: Picture) -> Array:
    """Fill in what motion tells; (h, w) uint8: GrabCut's answer to it, or the one without."""
    x, y, width, height = crop.window
    ground = picture.find_ground([lambda u, v: ((u >= x) & (u < x + width) & (v >= y) & (v < y + height)) * 1.0])
    size = (crop.h, crop.w)
    flow, (px, py) = picture.flow(crop.window, size), pixels(crop.window, size)
    slack = slack_of(picture, flow)
    at = np.flatnonzero(cv2.erode(cut, np.ones((3, 3), np.uint8)))
    at = at[:: max(1, len(at) // 300)]
    now = np.stack([px.ravel()[at], py.ravel()[at]], axis=1)
    own = poses.fit(now + flow.reshape(-1, 2)[at], now, 3 * picture.unit)
    own = geometry.IDENTITY if own is None else own
    grid = np.array([px[0, 0], py[0, 0], width / crop.w, height / crop.h], np.float32)
    out = np.empty((3, *size), np.float32)
    soft = planes[ROW["likely"]].copy()
    back = geometry.inverse(own).astype(np.float32)
    kernels.motion(
        np.ascontiguousarray(flow), soft, ground.astype(np.float32), back, grid, slack, BINS_OF_RESIDUAL, out
    )
    off_ground = out[1] - 1
    for name, plane in zip(("moves_alike", "off_ground", "off_object"), np.log(out), strict=True):
        planes[ROW[name]] = plane
    planes[ROW["mean_moves_alike"]] = cv2.blur(planes[ROW["moves_alike"]], (7, 7))
    planes[ROW["moves"]] = 1
    strong = float(np.percentile(off_ground, 80))
    if strong * slack < picture.unit:  # everything moves as the background does: nothing to see in it
        planes[ROW["moves"]] = 0
        return cut
    lab = cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2LAB)
    chroma = lab[..., 1:].reshape(-1, 2).astype(np.float32)
    chroma -= chroma.mean(axis=0)
    axis = np.linalg.eigh(chroma.T @ chroma)[1][:, 1]
    one = np.clip(1.5 * (chroma @ axis) + 128, 0, 255).reshape(size)
    moves = np.clip(130 * np.clip(off_ground / max(strong, 1e-3), 0, 1.5), 0, 255)
    moving = np.dstack([lab[..., 0], one, moves]).astype(np.uint8)
    soft_moving = cv2.GaussianBlur(moving, (0, 0), 1).astype(np.float32)
    from_ours = kernels.geodesic(soft_moving, seeds.ours)
    from_theirs = kernels.geodesic(soft_moving, seeds.trimap == cv2.GC_BGD)
    planes[ROW["moving_nearer"]] = np.log((from_theirs + REACH) / (from_ours + REACH))
    moving_cut = seeds.cut(moving, seeds.opened(from_ours, from_theirs))
    _shape(planes, "moving_cut", moving_cut)
    return moving_cut


def _shape(planes: Array, name: str, mask: Array) -> None:
    """A mask as two cues: itself, softened, and the depth in it."""
    planes[ROW[name]] = cv2.blur(mask.astype(np.float32), (5, 5))
    planes[ROW[f"{name}_depth"]] = np.tanh(signed_distance(mask > 0) / 8)


def _colour_ratio(lab: Array, soft: Array, weight: Array) -> Array:
    """(h, w): ln of object against rest among pixels of each one's colour; both of equal weight in all."""
    n = soft.size
    codes, base, fraction = np.empty((3, n), np.float32), np.empty(n, np.int32), np.empty((3, n), np.float32)
    kernels.split_codes(np.ascontiguousarray(lab.reshape(-1, 3)), CODES, codes, base, fraction)
    ours, theirs = float((soft * weight).sum()), float(((1 - soft) * weight).sum())
    balance = weight * np.where(soft > 0.5, 300 / max(ours, 1.0), 300 / max(theirs, 1.0)).astype(np.float32)
    mass, nowhere, out = (
        np.zeros((kernels.COLOURS, 2), np.float32),
        np.zeros(n, np.float32),
        np.empty((2, n), np.float32),
    )
    kernels.splat(mass, 0, 1, 1, nowhere, nowhere, codes, soft.ravel(), balance.ravel().astype(np.float32), 0, 1)
    kernels.slice_two(mass, 1, 1, nowhere, nowhere, base, fraction, LEAST, out)
    return np.asarray(np.log(out[0]).reshape(soft.shape))
