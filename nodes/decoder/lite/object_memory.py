"""What `lite` remembers of one object, bounded whatever the length of the feed (under 32 MB)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from nodes.decoder.lite import poses
from nodes.decoder.lite.appearance import OBJECT_MASS, Nearby, Places
from nodes.decoder.lite.relocate import Look, settle, take_look
from nodes.decoder.lite.view import View, look_at, padded, shrunk
from stream import geometry
from stream.arrays import Array

RECENT_RATE = 0.1  # of the adapting colours per place, a frame; those over the whole window at half of it
PART_RATE = 0.05  # while much of the object is hidden: what covers it is not its look
WHOLE_SHARE = 0.75  # of the area it had: more than this in sight counts as whole
IN_SIGHT_SHARE = 0.9  # of the area: a look is taken of no less
LOOK_EVERY = 4  # frames between two looks
STIFF_MISMATCH = 0.1  # between two looks (relocate.py): below this the object keeps its shape
MISSED_TURN = 0.012  # radians between two looks; where flow sees the turn, its pose is the better one
MOTION_RATE = 0.25  # of the smoothed motion, a frame


@dataclass
class Motion:
    """How an object moves a frame, smoothed: what it goes on doing while it is out of sight."""

    shift: Array = field(default_factory=lambda: np.zeros(2))  # of its middle, px
    turn: float = 0.0  # radians
    stiff: bool = False  # `turn` was measured between two looks: dense flow has no say in it

    def learn(self, shift: Array, turn: float) -> None:
        """Blend in one frame's motion."""
        self.shift = self.shift + MOTION_RATE * (shift - self.shift)
        if not self.stiff:
            self.turn += MOTION_RATE * (turn - self.turn)


@dataclass
class Memory:
    """One object."""

    view: View  # of the last frame on which it was in sight
    soft: Array  # (h, w) float32 0..1, its chance in that view
    pose: Array  # (2, 3) canonical px -> frame px; the identity on the first frame
    centre: Array  # (2,) middle of the object in canonical px
    places: Places  # colours per place on the object
    whole: Places  # colours over the window
    nearby: Nearby  # colours per place in `view`
    first_area: float  # px, on the first frame
    area: float  # px it covers when nothing hides it
    look: Look
    motion: Motion = field(default_factory=Motion)
    absent: int = 0  # frames since its mask was last believed
    look_age: int = 0  # when the look was taken, and
    tried: int = 0  # when it was last compared
    searches: int = 0  # while it was absent
    age: int = 0  # frames
    placed: tuple[View, Array, Array, Array] | None = None  # what `canonical` was asked last: view and pose; its answer

    @classmethod
    def of(cls, rgb: Array, mask: Array) -> Memory:
        """The memory of an object whose (H, W) mask, not empty, was just given."""
        bbox = cv2.boundingRect(mask)
        view = look_at(rgb, padded(bbox, (mask.shape[0], mask.shape[1])))
        soft = shrunk(mask, view)
        pose = geometry.IDENTITY.copy()
        area = float(np.count_nonzero(mask))
        memory = cls(
            view=view,
            soft=soft,
            pose=pose,
            centre=np.array([bbox[0] + (bbox[2] - 1) / 2, bbox[1] + (bbox[3] - 1) / 2]),
            places=Places(bbox),
            whole=Places(None),
            nearby=Nearby(),
            first_area=area,
            area=area,
            look=take_look(rgb, mask, pose),
        )
        weight, (x, y) = memory._weight(view, soft), memory.canonical(view)
        memory.places.begin(view, x, y, soft, weight)
        memory.whole.begin(view, x, y, soft, weight)
        memory.nearby.learn(view, soft, np.abs(2 * soft - 1))
        return memory

    def last_soft(self, x: Array, y: Array) -> Array:
        """The last soft mask at frame px x, y (h, w); 0 outside its window."""
        return np.asarray(cv2.remap(self.soft, *self.in_view(x, y), cv2.INTER_LINEAR))

    def in_view(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Frame px as working px of the last view, float32."""
        wx, wy, width, height = self.view.window
        h, w = self.soft.shape
        kx, ky = np.float32(w / width), np.float32(h / height)
        half = np.float32(0.5)
        return (x - np.float32(wx) + half) * kx - half, (y - np.float32(wy) + half) * ky - half

    def canonical(self, view: View) -> tuple[Array, Array]:
        """x, y (h, w) float32 of a view's pixels in the object's own coordinates; worked out once a frame."""
        if self.placed is None or self.placed[0] is not view or self.placed[1] is not self.pose:
            self.placed = (view, self.pose, *view.canonical(self.pose))
        return self.placed[2:]

    def keep(self, view: View, soft: Array) -> None:
        """Take a frame's soft mask as the last one."""
        self.view, self.soft = view, soft
        self.nearby.learn(view, soft, np.abs(2 * soft - 1))

    def learn(self, frames: int = 1) -> None:
        """Adapt to the last frame kept, on which the object was seen clearly.

        Its colours stand for those of `frames` frames; 0: they are not learnt this time.
        """
        view, soft = self.view, self.soft
        seen = float(soft.sum()) * view.px
        whole = seen > WHOLE_SHARE * self.area
        self.area = max(seen, (0.99 if whole else 0.999) * self.area)
        if not frames:
            return
        rate, weight, (x, y) = RECENT_RATE if whole else PART_RATE, self._weight(view, soft), self.canonical(view)
        self.whole.learn(view, x, y, soft, weight, _over(frames, 0.5 * rate))
        self.places.learn(view, x, y, soft, weight, _over(frames, rate))

    def remember_look(self, rgb: Array, mask: Array, every: int = LOOK_EVERY) -> bool:
        """Compare the (H, W) mask's picture with the last look; keep it as the new one if all of it is in sight.

        False where it is too early, or of no use: looks are `every` frames apart, or more.
        Between two looks that match well the object has kept its shape. Their similarity then tells its pose and its
        turn, of which dense flow sees a third too little.
        """
        frames = self.age - self.look_age
        if frames < every and not self.motion.stiff:
            return False
        in_sight = cv2.countNonZero(mask) > IN_SIGHT_SHARE * self.area and not _at_edge(mask)
        if frames < every if in_sight else not self.motion.stiff:
            return False
        self.tried = self.age
        moved = geometry.compose(self.pose, geometry.inverse(self.look.pose))
        found = settle(rgb, mask, self.look, moved, rounds=1)
        stiff = found is not None and found.mismatch < STIFF_MISMATCH
        if found is not None and stiff and abs(poses.angle_between(self.pose, found.pose)) > MISSED_TURN:
            self.pose = found.pose
        if not in_sight:
            return True
        if stiff:
            moved = geometry.compose(self.pose, geometry.inverse(self.look.pose))
            middle = self.look.centre
            shift = (geometry.apply(moved, middle[None])[0] - middle) / frames
            self.motion = Motion(shift, poses.angle_of(moved) / frames)
        self.motion.stiff = stiff
        self.look, self.look_age = take_look(rgb, mask, self.pose), self.age
        return True

    def drift(self) -> None:
        """One frame out of sight: go on as before."""
        middle = geometry.apply(self.pose, self.centre[None])[0]
        self.pose = geometry.compose(poses.about(middle, self.motion.turn, 1.0, self.motion.shift), self.pose)

    def move(self, step: Array) -> None:
        """Follow the similarity that carried what was in sight from the last frame to this one."""
        middle = geometry.apply(self.pose, self.centre[None])[0]
        shift = geometry.apply(step, middle[None])[0] - middle
        if float((self.soft > 0.5).sum()) * self.view.px > WHOLE_SHARE * self.area:
            self.motion.learn(shift, poses.angle_of(step))
        elif self.motion.stiff:  # the rest that is in sight tells the turn of the whole badly
            step = poses.about(middle, self.motion.turn, 1.0, shift)
        self.pose = geometry.compose(step, self.pose)

    def resize(self, scale: Array) -> None:
        """Follow a change of the frame size; `scale` (2, 3) carries old frame px to new ones."""
        x, y, width, height = self.view.window
        (x1, y1), (x2, y2) = np.rint(geometry.apply(scale, np.array([[x, y], [x + width, y + height]]))).astype(int)
        window = (max(int(x1), 0), max(int(y1), 0), max(int(x2 - x1), 1), max(int(y2 - y1), 1))
        self.view = replace(self.view, window=window)
        self.pose = geometry.compose(scale, self.pose)
        self.area *= geometry.scale_of(scale) ** 2
        self.motion.shift = self.motion.shift * np.array([scale[0, 0], scale[1, 1]])

    def _weight(self, view: View, soft: Array) -> Array:
        """(h, w): what each pixel counts. Unsure ones teach nothing; an object weighs the same at every size."""
        area = max(self.first_area * geometry.scale_of(self.pose) ** 2, 1.0)
        return np.asarray(np.abs(2 * soft - 1) * np.float32(OBJECT_MASS * view.px / area))


def _over(frames: int, rate: float) -> float:
    """A rate a frame as one for so many frames."""
    return rate if frames == 1 else 1 - float((1 - rate) ** frames)


def _at_edge(mask: Array) -> bool:
    """Whether a mask touches the frame's edge: part of the object may be outside."""
    return bool(mask[:2].any() or mask[-2:].any() or mask[:, :2].any() or mask[:, -2:].any())
