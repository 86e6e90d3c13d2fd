"""A prompt's crop in, cues per pixel out: what speaks for a pixel when only a few clicks or a box are given.

Geodesic distances through the colours, colour counts of what is surely and of what is probably the object, GrabCut's
answer; and, where a frame came before, how each pixel moves: then GrabCut runs once more, on an image whose third
channel is motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from nodes.decoder.lite import fusion, kernels
from nodes.decoder.lite.cues import compare_motion, flow_tolerance, measure_texture, signed_distance
from nodes.decoder.lite.following import MOTION_AGREE_PX, MOTION_POINTS
from nodes.decoder.lite.frame_analysis import FrameAnalysis, pixel_grid
from nodes.decoder.lite.prompts.prompt_crop import PromptCrop, run_grabcut
from nodes.decoder.lite.view import split_colours
from stream import geometry
from stream.arrays import Array
from stream.similarity import fit_similarity, frame_to_frame

PromptName = Literal["points", "box"]  # of the pixel networks for one

NAMES = (
    *("nearer_object", "object_distance", "background_distance", "position_a", "position_b", "position_c"),
    *("seed_colours", "mean_seed_colours", "probable_colours", "mean_probable_colours"),
    *("likely", "cut", "cut_depth", "off_background", "moves_alike", "mean_moves_alike", "off_object"),
    *("moving_cut", "moving_cut_depth", "moving_nearer_object", "has_motion", "edge", "rough", "few_clicks"),
)
ROW = {name: i for i, name in enumerate(NAMES)}
FOREGROUND_LEAD = 0.9  # a pixel is probably the object's when its distance to the object is so much shorter
SMALL_DISTANCE = 30.0  # of geodesic distances: ratios of smaller ones mean next to nothing
LIKELY_SHARE = 0.7  # of a box: what is likely the object's before GrabCut
COLLAPSED_SHARE = 0.3  # of a box: when less than this remains, GrabCut has failed
# logits: drawn objects are rarely as plain as a square that fills its box, where GrabCut alone is right to a pixel
CUT_TRUST: dict[PromptName, np.float32] = {"points": np.float32(0.5), "box": np.float32(1)}
PRIOR_MASS = 1.0  # px, added to object and surroundings
CLASS_MASS = 300.0  # px that object and surroundings count for, each, however many they have
MOTION_PERCENTILE = 80  # of the distance from the background's motion: what counts as strong


@dataclass
class PromptCues:
    """The planes (C, h, w), and GrabCut's best answer (h, w) uint8: the mask if nothing better comes out."""

    planes: Array
    cut: Array
    rgb: Array

    @property
    def flat(self) -> Array:
        """(C, n)."""
        return self.planes.reshape(len(NAMES), -1)


@dataclass(frozen=True)
class PromptTrimap:
    """What a prompt tells about each pixel of a crop."""

    trimap: Array  # (h, w) uint8, GrabCut's: sure and open parts
    object_seeds: Array  # (h, w) bool, where distances to the object are measured from
    positions: list[Array]  # up to three planes of where a pixel lies
    few_clicks: float = 0.0  # 0: eight clicks or more, or a box; 1: a single click
    centrality: Array | None = None  # (h, w) of a box: how near its middle, -0.5..1; None: the prompt is clicks

    @property
    def background_seeds(self) -> Array:
        """(h, w) bool, where distances to the background are measured from."""
        return np.asarray(self.trimap == cv2.GC_BGD)

    def divide_open_part(self, object_distance: Array, background_distance: Array) -> Array:
        """(h, w) GrabCut's trimap, its open part divided into probable object and probable surroundings."""
        trimap = self.trimap.copy()
        open_part = (trimap == cv2.GC_PR_BGD) | (trimap == cv2.GC_PR_FGD)
        likely = object_distance < FOREGROUND_LEAD * background_distance
        if self.centrality is not None:
            score = self.score_box(background_distance)
            likely = score > np.quantile(score[open_part], 1 - LIKELY_SHARE)
        trimap[open_part] = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[open_part]
        return trimap

    def score_box(self, background_distance: Array) -> Array:
        """(h, w) of a box: what differs from its border and lies near its middle is likely the object's."""
        assert self.centrality is not None, "only a box has a middle"
        top90 = max(float(np.percentile(background_distance[~self.background_seeds], 90)), 1e-3)
        return np.asarray(background_distance / top90 + 0.6 * self.centrality)

    def cut_out(self, image: Array, trimap: Array) -> Array:
        """(h, w) uint8: GrabCut's answer; guarded, because from a box it may collapse to nothing."""
        mask = run_grabcut(image, trimap)
        if self.centrality is None:
            return mask
        enough = COLLAPSED_SHARE * (~self.background_seeds).sum()
        if mask.sum() < enough:
            forced = trimap.copy()
            forced[(self.centrality > 0.5) & (trimap != cv2.GC_BGD)] = cv2.GC_FGD
            mask = run_grabcut(image, forced)
        return mask if mask.sum() >= enough else (trimap == cv2.GC_PR_FGD).astype(np.uint8)


def collect_prompt_cues(crop: PromptCrop, prompt: PromptTrimap, analysis: FrameAnalysis | None) -> PromptCues:
    """Every cue; `analysis`: of the frame, if there is a frame before it."""
    planes = np.zeros((len(NAMES), crop.h, crop.w), np.float32)

    def put(name: str, plane: Array) -> None:
        planes[ROW[name]] = plane

    image = crop.blurred_lab()
    object_distance = kernels.geodesic_distance(image, prompt.object_seeds)
    background_distance = kernels.geodesic_distance(image, prompt.background_seeds)
    nearer = _log_distance_ratio(background_distance, object_distance)
    put("nearer_object", nearer)
    put("moving_nearer_object", nearer)
    put("object_distance", np.log1p(object_distance / 100))
    put("background_distance", np.log1p(background_distance / 100))
    for name, plane in zip(("position_a", "position_b", "position_c"), prompt.positions, strict=False):
        put(name, plane)
    trimap = prompt.divide_open_part(object_distance, background_distance)
    probable = ((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.float32)
    put("likely", cv2.blur(probable, (5, 5)))
    seeds, seeded = prompt.object_seeds, prompt.object_seeds | prompt.background_seeds
    lab = cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2LAB)
    for name, plane in (
        ("seed_colours", _log_colour_ratio(lab, seeds.astype(np.float32), seeded.astype(np.float32))),
        ("probable_colours", _log_colour_ratio(lab, probable, np.ones_like(probable))),
    ):
        put(name, plane)
        put(f"mean_{name}", cv2.blur(plane, (7, 7)))
    cut = prompt.cut_out(cv2.cvtColor(crop.rgb, cv2.COLOR_RGB2BGR), trimap)
    _put_mask(planes, "cut", cut)
    _put_mask(planes, "moving_cut", cut)
    edge, rough = measure_texture(lab)
    put("edge", edge)
    put("rough", rough)
    planes[ROW["few_clicks"]] = prompt.few_clicks
    if analysis is not None:
        cut = _add_motion(planes, crop, prompt, cut, analysis)
    return PromptCues(planes, cut, crop.rgb)


def _add_motion(planes: Array, crop: PromptCrop, prompt: PromptTrimap, cut: Array, analysis: FrameAnalysis) -> Array:
    """Fill in the motion cues; (h, w) uint8: GrabCut's answer to an image with motion, or the one without."""
    x, y, width, height = crop.window
    size = (crop.h, crop.w)
    background = analysis.fit_background(
        [lambda u, v: ((u >= x) & (u < x + width) & (v >= y) & (v < y + height)) * 1.0]
    )
    flow, (px, py) = analysis.sample_flow(crop.window, size), pixel_grid(crop.window, size)
    tolerance = flow_tolerance(analysis, flow)
    step = _fit_cut_motion(cut, px, py, flow, analysis.flow_px)
    grid = np.array([px[0, 0], py[0, 0], width / crop.w, height / crop.h], np.float32)
    ratios = np.empty((3, *size), np.float32)
    likely = planes[ROW["likely"]].copy()
    compare_motion(np.ascontiguousarray(flow), likely, background, step, grid, tolerance, ratios)
    off_background = ratios[1] - 1
    for name, plane in zip(("moves_alike", "off_background", "off_object"), np.log(ratios), strict=True):
        planes[ROW[name]] = plane
    planes[ROW["mean_moves_alike"]] = cv2.blur(planes[ROW["moves_alike"]], (7, 7))
    strong = float(np.percentile(off_background, MOTION_PERCENTILE))
    if strong * tolerance < analysis.flow_px:  # everything moves as the background does: motion tells nothing
        return cut
    planes[ROW["has_motion"]] = 1
    image = _draw_motion(crop.rgb, off_background, strong)
    blurred = cv2.GaussianBlur(image, (0, 0), 1).astype(np.float32)
    object_distance = kernels.geodesic_distance(blurred, prompt.object_seeds)
    background_distance = kernels.geodesic_distance(blurred, prompt.background_seeds)
    planes[ROW["moving_nearer_object"]] = _log_distance_ratio(background_distance, object_distance)
    moving_cut = prompt.cut_out(image, prompt.divide_open_part(object_distance, background_distance))
    _put_mask(planes, "moving_cut", moving_cut)
    return moving_cut


def _fit_cut_motion(cut: Array, px: Array, py: Array, flow: Array, flow_px: float) -> Array:
    """The similarity from the last frame to this one that fits the flow inside a mask (h, w)."""
    inside = np.flatnonzero(cv2.erode(cut, np.ones((3, 3), np.uint8)))
    inside = inside[:: max(1, len(inside) // MOTION_POINTS)]
    current = np.stack([px.ravel()[inside], py.ravel()[inside]], axis=1)
    previous = current + flow.reshape(-1, 2)[inside]
    fitted = fit_similarity(previous, current, frame_to_frame(MOTION_AGREE_PX * flow_px))
    return geometry.IDENTITY if fitted is None else fitted


def _draw_motion(rgb: Array, off_background: Array, strong: float) -> Array:
    """(h, w, 3) uint8: lightness, the main axis of chroma, and how far a pixel's motion is from the background's."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    chroma = lab[..., 1:].reshape(-1, 2).astype(np.float32)
    chroma -= chroma.mean(axis=0)
    main_axis = np.linalg.eigh(chroma.T @ chroma)[1][:, 1]
    colour = np.clip(1.5 * (chroma @ main_axis) + 128, 0, 255).reshape(off_background.shape)
    motion = np.clip(130 * np.clip(off_background / max(strong, 1e-3), 0, 1.5), 0, 255)
    return np.dstack([lab[..., 0], colour, motion]).astype(np.uint8)


def _put_mask(planes: Array, name: str, mask: Array) -> None:
    """A mask as two cues: itself, softened, and the depth in it."""
    planes[ROW[name]] = cv2.blur(mask.astype(np.float32), (5, 5))
    planes[ROW[f"{name}_depth"]] = np.tanh(signed_distance(mask > 0) / 8)


def _log_distance_ratio(background_distance: Array, object_distance: Array) -> Array:
    return np.asarray(np.log((background_distance + SMALL_DISTANCE) / (object_distance + SMALL_DISTANCE)))


def _log_colour_ratio(lab: Array, soft_mask: Array, weight: Array) -> Array:
    """(h, w): ln of object against rest among pixels of each one's colour; both of equal weight in all."""
    codes, base, fraction = split_colours(lab)
    inside, outside = float((soft_mask * weight).sum()), float(((1 - soft_mask) * weight).sum())
    per_class = np.where(soft_mask > 0.5, CLASS_MASS / max(inside, 1.0), CLASS_MASS / max(outside, 1.0))
    balance = weight * per_class.astype(np.float32)
    n = soft_mask.size
    mass, one_cell = np.zeros((kernels.COLOURS, 2), np.float32), np.zeros(n, np.float32)
    ratio_and_mass = np.empty((2, n), np.float32)
    kernels.splat(mass, 0, 1, 1, one_cell, one_cell, codes, soft_mask.ravel(), balance.ravel(), 0, 1)
    kernels.slice_two(mass, 1, 1, one_cell, one_cell, base, fraction, PRIOR_MASS, ratio_and_mass)
    return np.asarray(np.log(ratio_and_mass[0]).reshape(soft_mask.shape))


def fuse_prompt_pixels(cues: PromptCues, name: PromptName) -> Array:
    """(h, w) raw logits: what the network that sees one pixel at a time makes of the cues; GrabCut's answer counts."""
    return np.asarray(fusion.load_network(name)(cues.planes) + CUT_TRUST[name] * (2 * cues.cut.astype(np.float32) - 1))
