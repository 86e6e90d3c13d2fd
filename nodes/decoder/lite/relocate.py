"""Find a lost object again: its last good look in, the pose at which the frame shows it out, or nothing.

1. Where. The look is turned as guessed, shrunk to SIDE px and compared with the frame, shrunk alike, at every shift
   at once. Pixels that can't show the object don't count against it: those outside the frame, and those that another
   object's mask covers. So it is found while it is still half behind another or half out of the frame. With v = 1
   where the frame counts and m = 1 on the look T, the mean squared difference at a shift is

       sum m v (I - T)^2 / sum m v   =   [ sum m (v I^2) - 2 sum (m T) (v I) + sum (m T^2) v ] / sum m v

2. How. Corners of the look, drawn at that place, are followed into the frame by Lucas-Kanade; the similarity that most
   agree on corrects turn, scale and shift.
3. Whether. At that pose the look must match the frame much better than unrelated texture would.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import poses
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

KEPT_SIDE = 1024  # px of a look's longer side at most: a larger object is kept smaller, so that its memory is bounded
SIDE = 24  # px of the look's longer side while searching: about 5 ms for a whole frame of 640x360
MIN_SEEN = 0.2  # share of the look that must lie on pixels that count
WORTH_A_TRY = 1.4  # mismatch in the small picture: mean squared difference against the look's own variance
MAX_MISMATCH = 0.3  # the same at full resolution, after alignment; unrelated textures have about 2
NOISE_VARIANCE = 40.0  # grey levels squared a channel: nearly plain things differ by a little, too
CORNERS = 80
SETTLE_SIDE = 96  # px of the look's longer side while aligning
ALIGN_ROUNDS = 2  # after a search; an object that is followed needs one
ALIGN_WINDOW_PX = 15
MIN_CORNERS = 6


@dataclass(frozen=True)
class Look:
    """An object when it was last seen well."""

    rgb: Array  # (h, w, 3) uint8, the crop of its bounding box
    mask: Array  # (h, w) uint8
    pose: Array  # (2, 3) canonical px -> frame px at that time
    box: Window  # what the crop shows, on that frame
    spread: float  # its variance, all channels, with the noise's: what a mismatch is measured against

    @property
    def centre(self) -> Array:
        """(2,) the middle of the crop, frame px of that time."""
        x, y, width, height = self.box
        return np.array([x + (width - 1) / 2, y + (height - 1) / 2])

    @property
    def side(self) -> int:
        """The longer side of the crop, frame px."""
        return max(self.box[2:])

    @property
    def place(self) -> Array:
        """(2, 3): px of the crop -> frame px of that time."""
        x, y, width, height = self.box
        kx, ky = width / self.mask.shape[1], height / self.mask.shape[0]
        return np.array([[kx, 0, x + (kx - 1) / 2], [0, ky, y + (ky - 1) / 2]])

    @property
    def area(self) -> float:
        """Of the mask, frame px."""
        return float(self.mask.sum()) * self.box[2] * self.box[3] / self.mask.size


@dataclass(frozen=True)
class Found:
    """Where a look was found."""

    pose: Array  # (2, 3) canonical px -> frame px now
    mismatch: float  # 0 is a perfect match
    seen: float  # share of the look that lies on pixels that count


def take_look(rgb: Array, mask: Array, pose: Array) -> Look:
    """Remember the object under a (H, W) mask that is not empty."""
    x, y, width, height = cv2.boundingRect(mask)
    part = (slice(y, y + height), slice(x, x + width))
    crop, inside = rgb[part].copy(), mask[part].copy()
    _, deviation = cv2.meanStdDev(crop, mask=inside)
    spread = float((deviation**2).sum()) + 3 * NOISE_VARIANCE
    shrink = KEPT_SIDE / max(width, height)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    return Look(crop, inside, pose.copy(), (x, y, width, height), spread)


def search(rgb: Array, counts: Array, look: Look, turn: float, region: Window) -> Found | None:
    """Look for the object, turned by `turn` radians, with its middle inside a region of the frame.

    `counts` (H, W) uint8 is 0 where something else is known to be in front.
    """
    shrink = min(1.0, SIDE / look.side)
    template, mask = _turned(look, turn, shrink)
    if mask.sum() < 12:
        return None
    x, y, width, height = region
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(rgb[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    valid = cv2.resize(counts[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    mismatch = _compare(small, (valid > 0).astype(np.float32), template, mask)
    row, column = np.unravel_index(int(np.argmin(mismatch)), mismatch.shape)
    if mismatch[row, column] > WORTH_A_TRY:
        return None
    reach = np.array([mask.shape[1] // 2, mask.shape[0] // 2])
    middle = np.array([column, row]) - reach + (np.array(mask.shape[::-1]) - 1) / 2
    place = (middle + 0.5) * np.array([width, height]) / size - 0.5 + (x, y)
    moved = poses.about(look.centre, turn, 1.0, place - look.centre)
    return settle(rgb, counts, look, moved)


def settle(rgb: Array, counts: Array, look: Look, moved: Array, rounds: int = ALIGN_ROUNDS) -> Found | None:
    """Align the look, carried by `moved` (2, 3: frame px of its time -> frame px now), and judge the match."""
    x, y, width, height = _extent(look, moved, (rgb.shape[0], rgb.shape[1]))
    shrink = min(1.0, SETTLE_SIDE / look.side)
    size = (round(height * shrink), round(width * shrink))
    if min(size) < 2 * ALIGN_WINDOW_PX:
        return None
    part = (slice(y, y + height), slice(x, x + width))
    picture = cv2.resize(rgb[part], size[::-1], interpolation=cv2.INTER_AREA)
    valid = cv2.resize(counts[part], size[::-1], interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    kx, ky = size[1] / width, size[0] / height
    to_part = np.array([[kx, 0, kx * (0.5 - x) - 0.5], [0, ky, ky * (0.5 - y) - 0.5]])
    for _ in range(rounds):
        drawn, mask = _drawn(look, geometry.compose(to_part, moved), size)
        step = _alignment(cv2.cvtColor(drawn, cv2.COLOR_RGB2GRAY), gray, mask & valid)
        if step is None:
            break
        moved = geometry.compose(geometry.inverse(to_part), geometry.compose(step, geometry.compose(to_part, moved)))
    drawn, mask = _drawn(look, geometry.compose(to_part, moved), size)
    use = (mask & valid) == 1
    whole = look.area * (geometry.scale_of(moved) * shrink) ** 2
    if use.sum() < max(MIN_SEEN * whole, 12):
        return None
    difference = cv2.blur(drawn, (3, 3))[use].astype(np.float32) - cv2.blur(picture, (3, 3))[use]
    mismatch = float((difference**2).sum(axis=1).mean()) / look.spread
    if mismatch > MAX_MISMATCH:
        return None
    return Found(geometry.compose(moved, look.pose), mismatch, float(use.sum()) / whole)


def _extent(look: Look, moved: Array, size: tuple[int, int]) -> Window:
    """The part of the frame that the carried look can cover, with room for alignment."""
    x, y, width, height = look.box
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
    at = geometry.apply(moved, corners)
    low, high = np.floor(at.min(axis=0)).astype(int) - 12, np.ceil(at.max(axis=0)).astype(int) + 12
    x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
    return x1, y1, max(min(int(high[0]), size[1]) - x1, 0), max(min(int(high[1]), size[0]) - y1, 0)


def _drawn(look: Look, moved: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """The look carried into an image of (h, w): its RGB, smeared out past its edge, and its mask."""
    place = geometry.compose(moved, look.place)
    mask = cv2.warpAffine(look.mask, place, size[::-1], flags=cv2.INTER_NEAREST)
    rgb = cv2.warpAffine(look.rgb, place, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rgb), np.asarray(mask)


def _alignment(drawn: Array, gray: Array, mask: Array) -> Array | None:
    """The similarity from the drawn look to the picture, by corners of the look; None where they don't agree."""
    inner = cv2.erode(mask, np.ones((5, 5), np.uint8))
    corners = cv2.goodFeaturesToTrack(drawn, CORNERS, 0.01, 3, mask=inner)
    if corners is None or len(corners) < MIN_CORNERS:
        return None
    size = (ALIGN_WINDOW_PX, ALIGN_WINDOW_PX)
    to, found, _ = cv2.calcOpticalFlowPyrLK(drawn, gray, corners, None, winSize=size, maxLevel=2)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(gray, drawn, to, None, winSize=size, maxLevel=2)
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (np.linalg.norm(back - corners, axis=(1, 2)) < 1.5)
    return poses.fit(corners[good, 0], to[good, 0], 2.0)


def _turned(look: Look, turn: float, scale: float) -> tuple[Array, Array]:
    """The look turned and scaled, of frame px, about its middle: (h, w, 3) float32 and its mask (h, w) float32."""
    height, width = look.mask.shape
    scale *= look.side / max(look.mask.shape)
    c, s = abs(np.cos(turn)) * scale, abs(np.sin(turn)) * scale
    extent = (max(3, round(c * width + s * height)), max(3, round(s * width + c * height)))
    middle = np.array([width - 1, height - 1]) / 2
    pose = poses.about(middle, turn, scale, (np.array(extent) - 1) / 2 - middle)
    blur = max(1, round(1 / scale))
    rgb = cv2.warpAffine(cv2.blur(look.rgb, (blur, blur)), pose, extent, flags=cv2.INTER_LINEAR)
    inner = cv2.warpAffine(look.mask, pose, extent, flags=cv2.INTER_NEAREST)
    return rgb.astype(np.float32), inner.astype(np.float32)


def _compare(rgb: Array, valid: Array, template: Array, mask: Array) -> Array:
    """Mismatch at every shift; half of the template may lie outside the image."""
    spread = float((template[mask > 0].var(axis=0)).sum()) + 3 * NOISE_VARIANCE
    mean = template[mask > 0].mean(axis=0)
    rows, columns = mask.shape[0] // 2, mask.shape[1] // 2
    pad = ((rows, rows), (columns, columns))
    v = np.pad(valid, pad)
    counted = cv2.matchTemplate(v, mask, cv2.TM_CCORR)
    # about the look's mean, so that float32 sums keep their digits
    image = v[..., None] * (np.pad(rgb.astype(np.float32), (*pad, (0, 0))) - mean)
    wanted = (mask[..., None] * (template - mean)).astype(np.float32)
    error = cv2.matchTemplate((image * image).sum(axis=2), mask, cv2.TM_CCORR)
    error += cv2.matchTemplate(v, (wanted * wanted).sum(axis=2), cv2.TM_CCORR)
    for channel in range(3):
        plane = np.ascontiguousarray(image[..., channel])
        error -= 2 * cv2.matchTemplate(plane, np.ascontiguousarray(wanted[..., channel]), cv2.TM_CCORR)
    return np.where(counted >= MIN_SEEN * mask.sum(), error / np.maximum(counted, 1e-3) / spread, np.inf)
