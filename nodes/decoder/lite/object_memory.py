"""What `lite` remembers of one object: its last mask, pose, motion, colours and template.

Bounded whatever the length of the feed (under 40 MB).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from nodes.decoder.lite import carrying, poses
from nodes.decoder.lite.colour_histograms import OBJECT_MASS, HistogramGrid, LastFrameHistograms
from nodes.decoder.lite.emergence import Emergence
from nodes.decoder.lite.frame_analysis import move_window
from nodes.decoder.lite.poses import GROWTH_RATE, MOTION_RATE, Expectation, Place, SmoothedMotion
from nodes.decoder.lite.returns import Sighting
from nodes.decoder.lite.target_model import TargetModel
from nodes.decoder.lite.template import Template, align, cut_template
from nodes.decoder.lite.view import FIRST_PX, View, bounding_window, make_view, pad_window, shrink_mask
from nodes.decoder.mask_model import Window
from stream import geometry
from stream.arrays import Array

RECENT_RATE = 0.1  # of the recent colours per cell, a frame; those over the whole window at half of it
PARTLY_HIDDEN_RATE = 0.05  # while much of the object is hidden: what covers it has other colours
WHOLE_SHARE = 0.75  # of the area it had: more than this in sight counts as whole
TEMPLATE_SHARE = 0.9  # of the area: a template is cut out of no less
MOST_FRAMES = 8  # that a mask stands for, where a target model is fitted to it
TEMPLATE_INTERVAL = 4  # frames between two templates, at least
HIDDEN_INTERVAL = 2  # between two comparisons while much of the object is hidden
RIGID_MISMATCH = 0.1  # between two templates (template.py): below this the object keeps its shape
MISSED_ROTATION = 0.012  # radians between two templates; where flow sees the rotation, its pose is the better one
PRESENT_PROBABILITY = 0.4  # above it, a pixel belongs to the object's bounding box
VANISHED_SHARE = 0.02  # of the object's area: a mask smaller than this has vanished,
VANISHED_PX = 12.0  # and so has one smaller than this


@dataclass
class ObjectMemory:
    """One object."""

    view: View  # of the last frame on which it was in sight
    soft_mask: Array  # (h, w) float32 0..1, its probability in that view
    pose: Array  # (2, 3) canonical px -> frame px; the identity on the first frame
    place: Place  # of all of it, by its pose
    cell_colours: HistogramGrid  # per cell of the object's own coordinates
    overall_colours: HistogramGrid  # over the window
    last_frame_colours: LastFrameHistograms  # per cell of `view`
    target_model: TargetModel
    area: float  # px it covers when nothing hides it
    template: Template
    sighting: Sighting  # the picture that the template was cut out of
    motion: SmoothedMotion
    doubt: str = ""  # what speaks against the thing that is followed being the object at all; empty: nothing does
    absence: int = 0  # frames that it had been out of sight when it was found last; 0: never
    absent_frames: int = 0  # since its mask was last believed
    searches: int = 0  # while it was absent
    last_box: Window = (0, 0, 0, 0)  # around it before its mask vanished, frame px
    emergence: Emergence = field(default_factory=Emergence)
    age: int = 0  # frames
    template_age: int = 0  # its age when the template was cut out,
    compared_age: int = 0  # and when the template was last compared with a frame
    fitted_age: int = 0  # and when the target model was last fitted
    moved: Array | None = None  # (2, 3) frame px of `view`'s frame -> of the last one; None: they are the same
    carried_frames: int = 0  # since the frame of `view`: its turn to be decoded has not come
    _extent: tuple[Array, View, Window, float] | None = None  # soft mask, view, and what `extent` made of them
    _points: tuple[View, Array] | None = None  # view, and points spread over the object there, frame px
    _canonical: tuple[View, Array, Array, Array] | None = None  # view, pose, and what `canonical_xy` made of them

    @classmethod
    def from_mask(cls, rgb: Array, mask: Array, motion: SmoothedMotion | None = None) -> ObjectMemory:
        """The memory of an object whose (H, W) mask, not empty, was just given; its motion, if that is known."""
        bbox = cv2.boundingRect(mask)
        view = make_view(rgb, pad_window(bbox, (mask.shape[0], mask.shape[1])), FIRST_PX)
        soft_mask = shrink_mask(mask, view)
        pose = geometry.IDENTITY.copy()
        area = float(np.count_nonzero(mask))
        memory = cls(
            view=view,
            soft_mask=soft_mask,
            pose=pose,
            place=Place(bbox, area),
            cell_colours=HistogramGrid(bbox),
            overall_colours=HistogramGrid(None),
            last_frame_colours=LastFrameHistograms(),
            target_model=TargetModel(view, soft_mask),
            area=area,
            template=cut_template(rgb, mask, pose),
            sighting=Sighting.of_frame(rgb, mask),
            motion=motion or SmoothedMotion(),
            last_box=bbox,
        )
        weight, (x, y) = memory._pixel_weight(view, soft_mask), memory.canonical_xy(view)
        memory.cell_colours.fill(view, x, y, soft_mask, weight)
        memory.overall_colours.fill(view, x, y, soft_mask, weight)
        memory.last_frame_colours.replace(view, soft_mask, np.abs(2 * soft_mask - 1))
        return memory

    # --- reading ----------------------------------------------------------------------------------------------------

    @property
    def recalled(self) -> bool:
        """Whether it has been out of sight since before its first frame: restored, so that it may be anywhere."""
        return self.absent_frames > self.age

    @property
    def middle(self) -> Array:
        """(2,) frame px: where the object's centre is at its pose."""
        return self.place.middle(self.pose)

    def expect(self, size: geometry.Size) -> Expectation:
        """Where all of it should be in a frame (H, W), beside what was in sight of it last."""
        return self.place.expect(self.pose, self.extent[1], size)

    def sample_mask(self, x: Array, y: Array) -> Array:
        """The last soft mask at frame px x, y (h, w); 0 outside its window."""
        return np.asarray(cv2.remap(self.soft_mask, *self.frame_to_view_xy(x, y), cv2.INTER_LINEAR))

    def fill_box(self, x: Array, y: Array) -> Array:
        """As `sample_mask`, coarsely and at a fraction of the cost: 1 in the box of the object, 0 outside."""
        left, top, width, height = self.extent[0] if self.moved is None else move_window(self.extent[0], self.moved)
        return (abs(x - (left + width / 2)) < width / 2) & (abs(y - (top + height / 2)) < height / 2)

    def draw_mask(self, size: geometry.Size) -> Array:
        """(H, W) uint8: the last mask, carried to the frame that `moved` leads to."""
        x, y, kx, ky = self.view.grid.tolist()
        to_frame = np.array([[kx, 0, x], [0, ky, y]])
        if self.moved is not None:
            to_frame = geometry.compose(self.moved, to_frame)
        return np.asarray(cv2.warpAffine(self.soft_mask, to_frame, size[::-1]) > 0.5).view(np.uint8)

    def frame_to_view_xy(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Frame px as working px of the last view, float32."""
        if self.moved is not None:
            (a, b, c), (d, e, f) = geometry.inverse(self.moved).astype(np.float32)
            x, y = a * x + b * y + c, d * x + e * y + f
        wx, wy, width, height = self.view.window
        h, w = self.soft_mask.shape
        kx, ky = np.float32(w / width), np.float32(h / height)
        half = np.float32(0.5)
        return (x - np.float32(wx) + half) * kx - half, (y - np.float32(wy) + half) * ky - half

    def canonical_xy(self, view: View) -> tuple[Array, Array]:
        """x, y (h, w) float32 of a view's pixels in the object's own coordinates; computed once a frame."""
        if self._canonical is None or self._canonical[0] is not view or self._canonical[1] is not self.pose:
            self._canonical = (view, self.pose, *view.canonical_xy(self.pose))
        return self._canonical[2:]

    # --- masks and colours ------------------------------------------------------------------------------------------

    def begin_frame(self) -> None:
        """Count a frame."""
        self.age += 1

    def count_absent(self) -> None:
        """Count a frame on which the object has no mask."""
        self.absent_frames += 1

    def store_mask(self, view: View, soft_mask: Array) -> None:
        """Take a frame's soft mask as the last one; where too little is left of it, the object is absent."""
        if self.absent_frames == 0:
            self.last_box = self.extent[0]
        self.view, self.soft_mask = view, soft_mask
        self.moved, self.carried_frames = None, 0
        self.last_frame_colours.replace(view, soft_mask, np.abs(2 * soft_mask - 1))
        visible_px = float((soft_mask > 0.5).sum()) * view.frame_px
        vanished = visible_px <= max(VANISHED_SHARE * self.area, VANISHED_PX)
        self.absent_frames = self.absent_frames + 1 if vanished else 0

    def adapt(self, frames: int = 1) -> None:
        """Adapt area and colours to the last mask stored, on which the object was seen clearly.

        Its colours stand for those of `frames` frames; 0: they are left as they are.
        """
        view, soft_mask = self.view, self.soft_mask
        visible_px = float(soft_mask.sum()) * view.frame_px
        whole = visible_px > WHOLE_SHARE * self.area
        self.area = max(visible_px, (0.99 if whole else 0.999) * self.area)
        if not frames:
            return
        if whole:
            self.place = self.place.grown(self.pose, visible_px, _rate_over(frames, GROWTH_RATE))
        rate = RECENT_RATE if whole else PARTLY_HIDDEN_RATE
        weight, (x, y) = self._pixel_weight(view, soft_mask), self.canonical_xy(view)
        self.overall_colours.blend(view, x, y, soft_mask, weight, _rate_over(frames, 0.5 * rate))
        self.cell_colours.blend(view, x, y, soft_mask, weight, _rate_over(frames, rate))

    def refit(self) -> None:
        """Fit the target model to the last mask stored as well, which stands for the frames since the last fit."""
        self.target_model.adapt(self.view, self.soft_mask, min(self.age - self.fitted_age, MOST_FRAMES))
        self.fitted_age = self.age

    def _pixel_weight(self, view: View, soft_mask: Array) -> Array:
        """(h, w): what each pixel counts. Unsure ones count nothing; an object weighs the same at every size."""
        return np.asarray(
            np.abs(2 * soft_mask - 1) * np.float32(OBJECT_MASS * view.frame_px / self.place.area(self.pose))
        )

    # --- the template -----------------------------------------------------------------------------------------------

    def update_template(self, rgb: Array, mask: Array, interval: int = TEMPLATE_INTERVAL) -> bool:
        """Compare the object under a (H, W) mask with the template; cut out a new one if all of it is in sight.

        False where that is too early, or of no use: templates are `interval` frames apart, or more. Between two that
        match well the object has kept its shape. Their similarity then gives its pose and its rotation, of which dense
        flow sees a third too little.
        """
        frames = self.age - self.template_age
        if frames < interval and not self.motion.rigid:
            return False
        in_sight = cv2.countNonZero(mask) > TEMPLATE_SHARE * self.area and not _touches_edge(mask)
        if in_sight:
            too_early = frames < interval
        else:
            too_early = not self.motion.rigid or self.age - self.compared_age < HIDDEN_INTERVAL
        if too_early:
            return False
        self.compared_age = self.age
        moved = geometry.compose(self.pose, geometry.inverse(self.template.pose))
        match = align(rgb, mask, self.template, moved, rounds=1)
        rigid = match is not None and match.mismatch < RIGID_MISMATCH
        if match is not None and rigid and abs(poses.angle_between(self.pose, match.pose)) > MISSED_ROTATION:
            self.pose = match.pose
        if not in_sight:
            return True
        self.motion = self._motion_since_template(frames) if rigid else replace(self.motion, rigid=False)
        self.template, self.template_age = cut_template(rgb, mask, self.pose), self.age
        self.sighting = Sighting.of_frame(rgb, mask)
        return True

    def _motion_since_template(self, frames: int) -> SmoothedMotion:
        moved = geometry.compose(self.pose, geometry.inverse(self.template.pose))
        middle = self.template.centre
        shift = (geometry.apply(moved, middle[None])[0] - middle) / frames
        return SmoothedMotion(shift, poses.angle_of(moved) / frames, rigid=True)

    # --- the pose ---------------------------------------------------------------------------------------------------

    def move_by(self, step: Array, frames: int = 1) -> None:
        """Follow the similarity that carried what was in sight over the last frame, or over so many."""
        middle = self.middle
        shift = geometry.apply(step, middle[None])[0] - middle
        if self.extent[1] > WHOLE_SHARE * self.area:
            rate = _rate_over(frames, MOTION_RATE)
            self.motion = self.motion.blended(shift / frames, poses.angle_of(step) / frames, rate)
        elif self.motion.rigid:  # the part in sight shows the rotation of the whole badly
            step = poses.similarity_about(middle, frames * self.motion.rotation, 1.0, shift)
        self.pose = geometry.compose(step, self.pose)

    @property
    def extent(self) -> tuple[Window, float]:
        """Of the last soft mask: the box around its px, on the frame of `view`, and its area, frame px."""
        if self._extent is None or self._extent[0] is not self.soft_mask or self._extent[1] is not self.view:
            box = bounding_window(self.soft_mask > PRESENT_PROBABILITY, self.view.window)
            area = float((self.soft_mask > 0.5).sum()) * self.view.frame_px
            self._extent = (self.soft_mask, self.view, box, area)
        return self._extent[2:]

    @property
    def points(self) -> Array:
        """(N, 2) float32 frame px: points spread over the object, on the last frame."""
        if self._points is None or self._points[0] is not self.view:
            (x, y, kx, ky), (columns, rows) = self.view.grid, carrying.spread_points(self.soft_mask).T
            self._points = (self.view, np.stack([x + kx * columns, y + ky * rows], axis=1))
        xy = self._points[1]
        return xy if self.moved is None else geometry.apply(self.moved, xy)

    def carry_to(self, moved: Array) -> None:
        """Be another frame away from `view`, undecoded: `moved` (2, 3) leads from its frame to the one that comes."""
        self.moved, self.carried_frames = moved, self.carried_frames + 1

    def begin_turn(self) -> None:
        """Let the pose and the motion follow the frames on which the object was carried: it is decoded again."""
        if self.moved is not None:
            self.move_by(self.moved, self.carried_frames)

    def move_as_before(self) -> None:
        """Continue the smoothed motion for one frame out of sight."""
        step = poses.similarity_about(self.middle, self.motion.rotation, 1.0, self.motion.shift)
        self.pose = geometry.compose(step, self.pose)

    def move_to(self, pose: Array) -> None:
        """Take the pose at which the object was found again."""
        self.pose = pose

    def find_again(self, doubt: str) -> None:
        """Take a match as the absent object; `doubt`: what speaks against that."""
        self.absence = self.absent_frames + (self.absence if self.doubt else 0)  # a doubted return is none
        self.doubt = doubt
        self.searches, self.emergence = 0, Emergence()  # should it be lost again, it is expected where it is now

    def take_back_return(self) -> None:
        """Take back that it was found, which was doubted: its absence goes on."""
        self.absent_frames, self.absence, self.doubt = self.absence, 0, ""

    def count_search(self) -> int:
        """Count a search for the absent object; how many there have been."""
        self.searches += 1
        return self.searches

    def resize(self, scale: Array) -> None:
        """Follow a change of the frame size; `scale` (2, 3) carries old frame px to new ones."""
        x, y, width, height = self.view.window
        (x1, y1), (x2, y2) = np.rint(geometry.apply(scale, np.array([[x, y], [x + width, y + height]]))).astype(int)
        window = (max(int(x1), 0), max(int(y1), 0), max(int(x2 - x1), 1), max(int(y2 - y1), 1))
        self.view = replace(self.view, window=window)
        if self.moved is not None:
            self.moved = geometry.compose(scale, geometry.compose(self.moved, geometry.inverse(scale)))
        self.pose = geometry.compose(scale, self.pose)
        self.area *= geometry.scale_of(scale) ** 2
        self.last_box, self.emergence = self.view.window, Emergence()
        self.motion = replace(self.motion, shift=self.motion.shift * np.array([scale[0, 0], scale[1, 1]]))


def _rate_over(frames: int, rate: float) -> float:
    """A rate a frame as one for so many frames."""
    return rate if frames == 1 else 1 - float((1 - rate) ** frames)


def _touches_edge(mask: Array) -> bool:
    """Whether a mask touches the frame's edge: part of the object may be outside."""
    return bool(mask[:2].any() or mask[-2:].any() or mask[:, :2].any() or mask[:, -2:].any())
