"""Find an object by its template, which was cut out when all of it was last in sight: where it is now, or None.

1. Where. The template is rotated by a guessed angle, shrunk to SEARCH_SIDE px and compared with the frame, shrunk
   alike, at every shift at once. Pixels that can't show the object don't count against it: those outside the frame, and
   those that another object's mask covers. So it is found while it is still half behind another or half out of the
   frame. With v = 1 where the frame counts and m = 1 on the template T, the mean squared difference at a shift is

       sum m v (I - T)^2 / sum m v   =   [ sum m (v I^2) - 2 sum (m T) (v I) + sum (m T^2) v ] / sum m v

2. How. Corners of the template, drawn at that place, are followed into the frame by Lucas-Kanade; the similarity that
   most agree on corrects rotation, scale and shift.
3. Whether. At that pose the template must match the frame much better than unrelated texture would.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder.lite import poses
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array
from stream.similarity import fit_similarity, frame_to_frame

STORED_SIDE = 1024  # px of a template's longer side at most: a larger object is shrunk, so that its memory is bounded
SEARCH_SIDE = 24  # px of the template's longer side while searching: about 5 ms for a whole frame of 640x360
MIN_VISIBLE_SHARE = 0.2  # of the template that must lie on pixels that count
MIN_TEMPLATE_PX = 12  # of the shrunk template, in a search and in the judgement
SEARCH_MISMATCH = 1.4  # at most, in the shrunk image: mean squared difference against the template's own variance
MAX_MISMATCH = 0.3  # the same at full resolution, after alignment; unrelated textures have about 2
NOISE_VARIANCE = 40.0  # grey levels squared a channel: nearly plain things differ by a little, too
CORNERS = 80
ALIGN_SIDE = 96  # px of the template's longer side while aligning
ALIGN_ROUNDS = 2  # after a search; an object that is followed needs one
ALIGN_WINDOW_PX = 15
ALIGN_ROOM_PX = 12  # frame px around the template's corners, that alignment may move it by
ALIGN_AGREE_PX = 2.0  # a corner that the similarity misses by more is an outlier
ROUND_TRIP_PX = 1.5  # a corner that is followed into the frame and back must return this close
MIN_CORNERS = 6


@dataclass(frozen=True)
class Template:
    """An object's image, cut out when all of it was last in sight."""

    rgb: Array  # (h, w, 3) uint8, the crop of its bounding box
    mask: Array  # (h, w) uint8
    pose: Array  # (2, 3) canonical px -> frame px at that time
    box: Window  # what the crop shows, on that frame
    variance: float  # all channels, with the noise's: what a mismatch is measured against

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
    def crop_to_frame(self) -> Array:
        """(2, 3): px of the crop -> frame px of that time."""
        x, y, width, height = self.box
        kx, ky = width / self.mask.shape[1], height / self.mask.shape[0]
        return np.array([[kx, 0, x + (kx - 1) / 2], [0, ky, y + (ky - 1) / 2]])

    @property
    def area(self) -> float:
        """Of the mask, frame px."""
        return float(self.mask.sum()) * self.box[2] * self.box[3] / self.mask.size


@dataclass(frozen=True)
class TemplateMatch:
    """Where a template was found."""

    pose: Array  # (2, 3) canonical px -> frame px now
    mismatch: float  # 0 is a perfect match
    visible: float  # share of the template that lies on pixels that count


def cut_template(rgb: Array, mask: Array, pose: Array) -> Template:
    """The template of the object under a (H, W) mask that is not empty."""
    x, y, width, height = cv2.boundingRect(mask)
    part = (slice(y, y + height), slice(x, x + width))
    crop, inside = rgb[part].copy(), mask[part].copy()
    _, deviation = cv2.meanStdDev(crop, mask=inside)
    variance = float((deviation**2).sum()) + 3 * NOISE_VARIANCE
    shrink = STORED_SIDE / max(width, height)
    if shrink < 1:
        size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    return Template(crop, inside, pose.copy(), (x, y, width, height), variance)


def search(
    rgb: Array,
    countable: Array,
    template: Template,
    angle: float,
    region: Window,
    at_most: float = MAX_MISMATCH,
) -> TemplateMatch | None:
    """Find the object, rotated by `angle` radians since its template, with its middle inside a region of the frame.

    `countable` (H, W) uint8 is 0 where another object's mask is in front; `at_most`: the mismatch of what is found.
    """
    shrink = min(1.0, SEARCH_SIDE / template.side)
    small_template, mask = _rotate_and_shrink(template, angle, shrink)
    if mask.sum() < MIN_TEMPLATE_PX:
        return None
    x, y, width, height = region
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(rgb[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    valid = cv2.resize(countable[y : y + height, x : x + width], size, interpolation=cv2.INTER_AREA)
    mismatch = _measure_mismatch(small, (valid > 0).astype(np.float32), small_template, mask)
    row, column = np.unravel_index(int(np.argmin(mismatch)), mismatch.shape)
    if mismatch[row, column] > SEARCH_MISMATCH:
        return None
    reach = np.array([mask.shape[1] // 2, mask.shape[0] // 2])
    middle = np.array([column, row]) - reach + (np.array(mask.shape[::-1]) - 1) / 2
    centre = (middle + 0.5) * np.array([width, height]) / size - 0.5 + (x, y)
    moved = poses.similarity_about(template.centre, angle, 1.0, centre - template.centre)
    return align(rgb, countable, template, moved, at_most=at_most)


def align(
    rgb: Array,
    countable: Array,
    template: Template,
    moved: Array,
    rounds: int = ALIGN_ROUNDS,
    at_most: float = MAX_MISMATCH,
) -> TemplateMatch | None:
    """Correct `moved` (2, 3: frame px of the template's time -> frame px now) by corners, and judge the match."""
    x, y, width, height = _coverable_window(template, moved, (rgb.shape[0], rgb.shape[1]))
    shrink = min(1.0, ALIGN_SIDE / template.side)
    size = (round(height * shrink), round(width * shrink))
    if min(size) < 2 * ALIGN_WINDOW_PX:
        return None
    part = (slice(y, y + height), slice(x, x + width))
    image = cv2.resize(rgb[part], size[::-1], interpolation=cv2.INTER_AREA)
    valid = cv2.resize(countable[part], size[::-1], interpolation=cv2.INTER_NEAREST)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    kx, ky = size[1] / width, size[0] / height
    to_part = np.array([[kx, 0, kx * (0.5 - x) - 0.5], [0, ky, ky * (0.5 - y) - 0.5]])
    for _ in range(rounds):
        warped, mask = _warp(template, geometry.compose(to_part, moved), size)
        step = _fit_corners(cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY), gray, mask & valid)
        if step is None:
            break
        moved = geometry.compose(geometry.inverse(to_part), geometry.compose(step, geometry.compose(to_part, moved)))
    warped, mask = _warp(template, geometry.compose(to_part, moved), size)
    visible = (mask & valid) == 1
    whole = template.area * (geometry.scale_of(moved) * shrink) ** 2
    if visible.sum() < max(MIN_VISIBLE_SHARE * whole, MIN_TEMPLATE_PX):
        return None
    difference = cv2.blur(warped, (3, 3))[visible].astype(np.float32) - cv2.blur(image, (3, 3))[visible]
    mismatch = float((difference**2).sum(axis=1).mean()) / template.variance
    if mismatch > at_most:
        return None
    return TemplateMatch(geometry.compose(moved, template.pose), mismatch, float(visible.sum() / whole))


def draw_mask(template: Template, pose: Array, size: tuple[int, int]) -> Array:
    """(H, W) uint8: the template's mask at a pose of the object."""
    moved = geometry.compose(pose, geometry.inverse(template.pose))
    to_frame = geometry.compose(moved, template.crop_to_frame)
    return np.asarray(cv2.warpAffine(template.mask, to_frame, size[::-1], flags=cv2.INTER_NEAREST))


def _coverable_window(template: Template, moved: Array, size: tuple[int, int]) -> Window:
    """The part of the frame that the moved template can cover, with room for alignment."""
    x, y, width, height = template.box
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
    moved_corners = geometry.apply(moved, corners)
    low = np.floor(moved_corners.min(axis=0)).astype(int) - ALIGN_ROOM_PX
    high = np.ceil(moved_corners.max(axis=0)).astype(int) + ALIGN_ROOM_PX
    x1, y1 = max(int(low[0]), 0), max(int(low[1]), 0)
    return x1, y1, max(min(int(high[0]), size[1]) - x1, 0), max(min(int(high[1]), size[0]) - y1, 0)


def _warp(template: Template, moved: Array, size: tuple[int, int]) -> tuple[Array, Array]:
    """The template drawn into an image of (h, w): its RGB, continued past its edge, and its mask."""
    to_image = geometry.compose(moved, template.crop_to_frame)
    mask = cv2.warpAffine(template.mask, to_image, size[::-1], flags=cv2.INTER_NEAREST)
    rgb = cv2.warpAffine(template.rgb, to_image, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rgb), np.asarray(mask)


def _fit_corners(warped: Array, gray: Array, mask: Array) -> Array | None:
    """The similarity from the drawn template to the image, by the template's corners; None where they don't agree."""
    inner = cv2.erode(mask, np.ones((5, 5), np.uint8))
    corners = cv2.goodFeaturesToTrack(warped, CORNERS, 0.01, 3, mask=inner)
    if corners is None or len(corners) < MIN_CORNERS:
        return None
    size = (ALIGN_WINDOW_PX, ALIGN_WINDOW_PX)
    to, followed, _ = cv2.calcOpticalFlowPyrLK(warped, gray, corners, None, winSize=size, maxLevel=2)
    back, followed_back, _ = cv2.calcOpticalFlowPyrLK(gray, warped, to, None, winSize=size, maxLevel=2)
    returned = np.linalg.norm(back - corners, axis=(1, 2)) < ROUND_TRIP_PX
    good = (followed[:, 0] == 1) & (followed_back[:, 0] == 1) & returned
    return fit_similarity(corners[good, 0], to[good, 0], frame_to_frame(ALIGN_AGREE_PX))


def _rotate_and_shrink(template: Template, angle: float, scale: float) -> tuple[Array, Array]:
    """The template rotated about its middle and scaled, of frame px: (h, w, 3) and its mask (h, w), float32."""
    height, width = template.mask.shape
    scale *= template.side / max(template.mask.shape)
    c, s = abs(np.cos(angle)) * scale, abs(np.sin(angle)) * scale
    extent = (max(3, round(c * width + s * height)), max(3, round(s * width + c * height)))
    middle = np.array([width - 1, height - 1]) / 2
    pose = poses.similarity_about(middle, angle, scale, (np.array(extent) - 1) / 2 - middle)
    blur = max(1, round(1 / scale))
    rgb = cv2.warpAffine(cv2.blur(template.rgb, (blur, blur)), pose, extent, flags=cv2.INTER_LINEAR)
    inner = cv2.warpAffine(template.mask, pose, extent, flags=cv2.INTER_NEAREST)
    return rgb.astype(np.float32), inner.astype(np.float32)


def _measure_mismatch(rgb: Array, valid: Array, template_rgb: Array, mask: Array) -> Array:
    """Mismatch at every shift; half of the template may lie outside the image."""
    variance = float((template_rgb[mask > 0].var(axis=0)).sum()) + 3 * NOISE_VARIANCE
    mean = template_rgb[mask > 0].mean(axis=0)
    rows, columns = mask.shape[0] // 2, mask.shape[1] // 2
    pad = ((rows, rows), (columns, columns))
    v = np.pad(valid, pad)
    counted = cv2.matchTemplate(v, mask, cv2.TM_CCORR)
    # about the template's mean, so that float32 sums keep their digits
    image = v[..., None] * (np.pad(rgb.astype(np.float32), (*pad, (0, 0))) - mean)
    template_values = (mask[..., None] * (template_rgb - mean)).astype(np.float32)
    error = cv2.matchTemplate((image * image).sum(axis=2), mask, cv2.TM_CCORR)
    error += cv2.matchTemplate(v, (template_values * template_values).sum(axis=2), cv2.TM_CCORR)
    for channel in range(3):
        plane = np.ascontiguousarray(image[..., channel])
        error -= 2 * cv2.matchTemplate(plane, np.ascontiguousarray(template_values[..., channel]), cv2.TM_CCORR)
    return np.where(counted >= MIN_VISIBLE_SHARE * mask.sum(), error / np.maximum(counted, 1e-3) / variance, np.inf)
