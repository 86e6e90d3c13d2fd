"""What speaks for and against each pixel of an object's window: the planes that fusion.py weighs.

Log ratios are ln of object against surroundings. Columns of `NAMES`, (25, n) float32 at working size:

    carried ...        the last soft mask, carried by the dense flow: its logit, itself averaged over two sizes, and
                       the signed distance to its outline at two scales
    nearby, first,     colours here a moment ago; per place on the object as on the first frame; the same, adapting:
    recent             log ratio, and how much is known (ln of the mass)
    first_all,         the same over the whole window, wherever: log ratios
    recent_all
    moves_alike        what shares place and motion with the carried mask: log ratio
    off_ground,        how far the flow is from the background's and from the object's own motion
    off_object
    changed            how far the picture differs from the last one, carried
    mean_...           log ratios averaged over 7x7 px: one pixel's colour says little
    edge, rough        the picture's slope and local deviation: where logits may jump
"""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite import kernels
from nodes.decoder.lite.appearance import Nearby, Places
from nodes.decoder.lite.frame_analysis import Picture
from nodes.decoder.lite.view import View
from stream import geometry
from stream.arrays import Array

NAMES = (
    *("carried", "carried_near", "carried_wide", "depth", "depth_wide"),
    *("nearby", "nearby_known", "first", "first_known", "recent", "recent_known"),
    *("first_all", "recent_all", "moves_alike", "off_ground", "off_object", "changed"),
    *("mean_nearby", "mean_first", "mean_recent", "mean_first_all", "mean_recent_all", "mean_moves_alike"),
    *("edge", "rough"),
)
AVERAGED = ("nearby", "first", "recent", "first_all", "recent_all", "moves_alike")
ROW = {name: i for i, name in enumerate(NAMES)}
LEAST, LEAST_ALL = 0.5, 1.0  # what nothing known weighs, of a place and of the whole window
BINS_OF_RESIDUAL = (3.5 * np.log1p(np.arange(32 * 12) / 32)).astype(np.float32)  # finest where motions are alike


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

    def carried(self, soft: Array) -> None:
        """The soft mask (h, w), carried to this frame."""
        self["carried"] = logit(soft)
        self["carried_near"] = cv2.blur(cv2.blur(soft, (7, 7)), (5, 5))
        self["carried_wide"] = cv2.blur(cv2.blur(soft, (21, 21)), (17, 17))
        distance = signed_distance(soft > 0.5)
        self["depth"], self["depth_wide"] = np.tanh(distance / 4), np.tanh(distance / 16)

    def colours(self, places: Places, whole: Places, x: Array, y: Array) -> None:
        """What an object looks like, at canonical places x, y (h, w)."""
        places.ask(self.view, x, y, LEAST, self.rows("first", "recent_known"))
        both = np.empty((4, self.view.base.size), np.float32)
        whole.ask(self.view, x, y, LEAST_ALL, both)
        self.rows("first_all", "recent_all")[:] = both[::2]

    def before(self, nearby: Nearby, lab: Array, u: Array, v: Array) -> None:
        """What was here on the last frame: its colours and its Lab picture, at working px u, v (h, w) of it."""
        nearby.ask(self.view, u, v, LEAST, self.rows("nearby", "nearby_known"))
        carried = cv2.remap(lab, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        change = cv2.blur(cv2.absdiff(self.view.lab, carried), (5, 5))
        self["changed"] = 1 + cv2.transform(change.astype(np.float32), np.full((1, 3), 1 / 8, np.float32))

    def motion(self, picture: Picture, flow: Array, soft: Array, step: Array) -> None:
        """Of the flow (h, w, 2), with the carried soft mask and the object's own similarity."""
        slack = slack_of(picture, flow)
        ground, own = picture.ground.astype(np.float32), geometry.inverse(step).astype(np.float32)
        out = self.rows("moves_alike", "off_object").reshape(3, *self.view.size)
        kernels.motion(flow, soft, ground, own, self.view.grid, slack, BINS_OF_RESIDUAL, out)

    def finish(self) -> None:
        """What is made of other cues and of the picture alone."""
        ratios = self.rows("nearby", "changed")
        np.log(ratios, out=ratios)
        for name in AVERAGED:
            cv2.blur(self[name], (7, 7), dst=self[f"mean_{name}"])
        self["edge"], self["rough"] = texture(self.view.lab)


def texture(lab: Array) -> tuple[Array, Array]:
    """(h, w) float32 each: ln of 1 + slope, and of 1 + local deviation, of an (h, w, 3) uint8 picture's lightness."""
    light = lab[..., 0].astype(np.float32)
    slope = _length(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    mean = cv2.blur(light, (5, 5))
    variance = cv2.blur(light * light, (5, 5)) - mean * mean
    return np.log(1 + slope / 16), np.log(1 + np.sqrt(np.maximum(variance, 0)) / 4)


def slack_of(picture: Picture, flow: Array) -> float:
    """Frame px by which flow may be wrong: fast motion is known less exactly."""
    sparse = flow[::4, ::4]
    return picture.unit + 0.05 * float(np.median(_length(sparse[..., 0], sparse[..., 1])))


def _length(x: Array, y: Array) -> Array:
    """Of vectors; cv2.magnitude rounds by where its arrays lie in memory, and so no two runs would be the same."""
    return np.asarray(np.sqrt(x * x + y * y))


def logit(chance: Array) -> Array:
    """ln p / (1 - p), within +-5.3."""
    p = np.clip(chance, 0.005, 0.995)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def sigmoid(logits: Array) -> Array:
    """The chance of a logit."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def signed_distance(mask: Array) -> Array:
    """(h, w) px to the outline, positive inside; far outside everywhere when the mask is empty."""
    inside = mask.astype(np.uint8)
    if not mask.any():
        return np.full(mask.shape, -1e3, np.float32)
    out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - out, np.float32)
