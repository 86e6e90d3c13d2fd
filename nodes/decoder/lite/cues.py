"""What speaks for and against each pixel of an object's window: the planes that fusion.py makes logits of.

Log ratios are ln of object against surroundings. Columns of `NAMES`, (25, n) float32 at working size:

    carried ...        the last soft mask, carried by the dense flow: its logit, itself averaged over two sizes, and
                       the signed distance to its outline at two scales
    nearby, first,     colours near this place on the last frame; per cell of the object as on the first frame; the
    recent             same, adapting: log ratio, and ln of the mass that it rests on
    first_overall,     the same over the whole window: log ratios
    recent_overall
    moves_alike        what shares place and motion with the carried mask: log ratio
    off_background,    how far the flow is from the background's and from the object's own motion
    off_object
    changed            how far the image differs from the last one, carried
    mean_...           log ratios averaged over 7x7 px: one pixel's colour says little
    edge, rough        the image's slope and local deviation: where logits may jump
"""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.colour_histograms import HistogramGrid, LastFrameHistograms
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.view import View
from stream import geometry
from stream.arrays import Array

NAMES = (
    *("carried", "carried_near", "carried_wide", "depth", "depth_wide"),
    *("nearby", "nearby_mass", "first", "first_mass", "recent", "recent_mass"),
    *("first_overall", "recent_overall", "moves_alike", "off_background", "off_object", "changed"),
    *("mean_nearby", "mean_first", "mean_recent", "mean_first_overall", "mean_recent_overall", "mean_moves_alike"),
    *("edge", "rough"),
)
AVERAGED = ("nearby", "first", "recent", "first_overall", "recent_overall", "moves_alike")
ROW = {name: i for i, name in enumerate(NAMES)}
PRIOR_MASS, PRIOR_MASS_OVERALL = 0.5, 1.0  # added to object and surroundings, of a cell and of the whole window
RESIDUAL_BINS = (3.5 * np.log1p(np.arange(32 * 12) / 32)).astype(np.float32)  # finest where motions are alike


class Cues:
    """The planes, filled part by part. Those from `nearby` to `changed` are ratios until `finish` takes their log."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.planes = np.empty((len(NAMES), *view.size), np.float32)
        self.rows("nearby", "changed")[:] = 1

    @property
    def flat(self) -> Array:
        """(C, n)."""
        return self.planes.reshape(len(NAMES), -1)

    def __getitem__(self, name: str) -> Array:
        """(h, w) of one cue."""
        return np.asarray(self.planes[ROW[name]])

    def __setitem__(self, name: str, plane: Array) -> None:
        self.planes[ROW[name]] = plane

    def rows(self, first: str, last: str) -> Array:
        """(k, n) from one cue to another: what compiled loops fill."""
        return self.flat[ROW[first] : ROW[last] + 1]

    def add_carried_mask(self, soft_mask: Array) -> None:
        """Cues of the last soft mask (h, w), carried to this frame."""
        self["carried"] = logit(soft_mask)
        self["carried_near"] = cv2.blur(cv2.blur(soft_mask, (7, 7)), (5, 5))
        self["carried_wide"] = cv2.blur(cv2.blur(soft_mask, (21, 21)), (17, 17))
        distance = signed_distance(soft_mask > 0.5)
        self["depth"], self["depth_wide"] = np.tanh(distance / 4), np.tanh(distance / 16)

    def add_object_colours(self, cells: HistogramGrid, overall: HistogramGrid, x: Array, y: Array) -> None:
        """Cues of what an object looks like, at canonical x, y (h, w)."""
        cells.read(self.view, x, y, PRIOR_MASS, self.rows("first", "recent_mass"))
        ratios_and_masses = np.empty((4, self.view.base.size), np.float32)
        overall.read(self.view, x, y, PRIOR_MASS_OVERALL, ratios_and_masses)
        self.rows("first_overall", "recent_overall")[:] = ratios_and_masses[::2]

    def add_last_frame(self, histograms: LastFrameHistograms, lab: Array, u: Array, v: Array) -> None:
        """Cues of the last frame: its colours and its Lab image, at working px u, v (h, w) of it."""
        histograms.read(self.view, u, v, PRIOR_MASS, self.rows("nearby", "nearby_mass"))
        carried = cv2.remap(lab, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        change = cv2.blur(cv2.absdiff(self.view.lab, carried), (5, 5))
        self["changed"] = 1 + cv2.transform(change.astype(np.float32), np.full((1, 3), 1 / 8, np.float32))

    def add_motion(self, analysis: FrameAnalysis, flow: Array, soft_mask: Array, step: Array) -> None:
        """Cues of the flow (h, w, 2), with the carried soft mask and the object's own motion `step` (2, 3)."""
        out = self.rows("moves_alike", "off_object").reshape(3, *self.view.size)
        compare_motion(flow, soft_mask, analysis.background, step, self.view.grid, flow_tolerance(analysis, flow), out)

    def finish(self) -> None:
        """Make the cues that come from other cues and from the image alone."""
        ratios = self.rows("nearby", "changed")
        np.log(ratios, out=ratios)
        for name in AVERAGED:
            cv2.blur(self[name], (7, 7), dst=self[f"mean_{name}"])
        self["edge"], self["rough"] = measure_texture(self.view.lab)


def compare_motion(
    flow: Array, soft_mask: Array, background: Array, step: Array, grid: Array, tolerance_px: float, out: Array
) -> None:
    """Fill `out` (3, h, w) with the ratios `moves_alike`, `off_background` and `off_object`.

    `background` (2, 3) leads to the last frame, `step` (2, 3) of the object from it; `grid` as `View.grid`.
    """
    back = geometry.inverse(step).astype(np.float32)
    kernels.compare_motion(flow, soft_mask, background.astype(np.float32), back, grid, tolerance_px, RESIDUAL_BINS, out)


def measure_texture(lab: Array) -> tuple[Array, Array]:
    """(h, w) float32 each: ln of 1 + slope, and of 1 + local deviation, of an (h, w, 3) uint8 image's lightness."""
    light = lab[..., 0].astype(np.float32)
    slope = _length(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    mean = cv2.blur(light, (5, 5))
    variance = cv2.blur(light * light, (5, 5)) - mean * mean
    return np.log(1 + slope / 16), np.log(1 + np.sqrt(np.maximum(variance, 0)) / 4)


def flow_tolerance(analysis: FrameAnalysis, flow: Array) -> float:
    """Frame px by which flow may be wrong: fast motion is measured less exactly."""
    sparse = flow[::4, ::4]
    return analysis.flow_px + 0.05 * float(np.median(_length(sparse[..., 0], sparse[..., 1])))


def _length(x: Array, y: Array) -> Array:
    """Of vectors; cv2.magnitude rounds by where its arrays lie in memory, and so no two runs would be the same."""
    return np.asarray(np.sqrt(x * x + y * y))


def logit(probability: Array) -> Array:
    """ln p / (1 - p), within +-5.3."""
    p = np.clip(probability, 0.005, 0.995)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def sigmoid(logits: Array) -> Array:
    """The probability that a logit stands for."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def signed_distance(mask: Array) -> Array:
    """(h, w) px to the outline, positive inside; far outside everywhere when the mask is empty."""
    inside = mask.astype(np.uint8)
    if not mask.any():
        return np.full(mask.shape, -1e3, np.float32)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - out, np.float32)
