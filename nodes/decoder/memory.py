"""What `lite` remembers of one object, bounded whatever the length of the feed (about 10 MB)."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from nodes.decoder import poses
from nodes.decoder.appearance import OBJECT_MASS, CanonicalGrid, ColourModel, colour_codes
from nodes.decoder.model import Window
from nodes.decoder.relocate import Look, settle, take_look
from stream import geometry
from stream.messages import Array

MAX_WORKING_PX = 12_000  # of a window: large objects are worked on smaller, small ones at full resolution
WINDOW_PAD, WINDOW_PAD_PX = 0.3, 24  # round the object's box: share of its side, at least px
RECENT_RATE = 0.1  # of the adapting colours, a frame
PART_RATE = 0.02  # while much of the object is hidden: what covers it is not its look
WHOLE_SHARE = 0.75  # of the area it had: more than this in sight counts as whole
IN_SIGHT_SHARE = 0.9  # of the area: a look is taken of no less
LOOK_EVERY = 4  # frames between two looks
STIFF_MISMATCH = 0.1  # between two looks (relocate.py): below this the object keeps its shape
MOTION_RATE = 0.25  # of the smoothed motion, a frame


@dataclass(frozen=True)
class View:
    """A window of the frame at working size, with everything per pixel that cues are made of."""

    window: Window
    gray: Array  # (h, w) uint8
    codes: Array  # (h, w) int32 colour codes
    x: Array  # (h, w) float32, frame px of each working pixel
    y: Array

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) working px."""
        return self.codes.shape[0], self.codes.shape[1]

    @property
    def px(self) -> float:
        """Frame px that one working px stands for."""
        return self.window[2] * self.window[3] / self.codes.size

    def canonical(self, pose: Array) -> tuple[Array, Array]:
        """x, y (h, w) of each pixel in an object's own coordinates."""
        m = geometry.inverse(pose).astype(np.float32)
        return m[0, 0] * self.x + m[0, 1] * self.y + m[0, 2], m[1, 0] * self.x + m[1, 1] * self.y + m[1, 2]


def look_at(rgb: Array, window: Window) -> View:
    """The view of a window that lies inside the frame."""
    x, y, width, height = window
    factor = max(1.0, float(np.sqrt(width * height / MAX_WORKING_PX)))
    w, h = max(8, round(width / factor)), max(8, round(height / factor))
    small = cv2.resize(rgb[y : y + height, x : x + width], (w, h), interpolation=cv2.INTER_AREA)
    columns = (np.arange(w, dtype=np.float32) + 0.5) * (width / w) - 0.5 + x
    rows = (np.arange(h, dtype=np.float32) + 0.5) * (height / h) - 0.5 + y
    return View(
        window=window,
        gray=cv2.cvtColor(small, cv2.COLOR_RGB2GRAY),
        codes=colour_codes(cv2.cvtColor(small, cv2.COLOR_RGB2LAB)),
        x=np.broadcast_to(columns, (h, w)),
        y=np.broadcast_to(rows[:, None], (h, w)),
    )


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

    window: Window  # that `soft` covers
    soft: Array  # (h, w) float32 0..1 at working size, on the last frame
    pose: Array  # (2, 3) canonical px -> frame px; the identity on the first frame
    centre: Array  # (2,) middle of the object in canonical px
    places: CanonicalGrid
    first_colours: ColourModel
    recent_colours: ColourModel
    area: float  # px it covers when nothing hides it
    look: Look
    motion: Motion = field(default_factory=Motion)
    absent: int = 0  # frames since its mask was last believed
    look_age: int = 0  # when the look was taken
    searches: int = 0  # while it was absent
    age: int = 0  # frames

    @property
    def px(self) -> float:
        """Frame px that one px of `soft` stands for."""
        return self.window[2] * self.window[3] / self.soft.size

    @classmethod
    def of(cls, rgb: Array, mask: Array) -> Memory:
        """The memory of an object whose (H, W) mask, not empty, was just given."""
        bbox = cv2.boundingRect(mask)
        view = look_at(rgb, padded(bbox, (mask.shape[0], mask.shape[1])))
        x, y, width, height = view.window
        soft = cv2.resize(
            mask[y : y + height, x : x + width].astype(np.float32), view.size[::-1], interpolation=cv2.INTER_AREA
        )
        centre = np.array([bbox[0] + (bbox[2] - 1) / 2, bbox[1] + (bbox[3] - 1) / 2])
        area = float(np.count_nonzero(mask))
        pose = geometry.IDENTITY.copy()
        memory = cls(
            view.window,
            soft,
            pose,
            centre,
            CanonicalGrid(bbox),
            ColourModel(),
            ColourModel(),
            area,
            take_look(rgb, mask, pose),
        )
        weight = memory._weight(view, soft)
        memory.places.begin(view.codes, *view.canonical(pose), soft, weight)
        memory.first_colours.learn(view.codes, soft, weight, 1.0)
        memory.recent_colours.learn(view.codes, soft, weight, 1.0)
        return memory

    def learn(self, view: View, soft: Array) -> None:
        """Adapt to a frame on which the object was seen clearly."""
        seen = float(soft.sum()) * view.px
        whole = seen > WHOLE_SHARE * self.area
        self.area = max(seen, (0.99 if whole else 0.999) * self.area)
        rate, weight = RECENT_RATE if whole else PART_RATE, self._weight(view, soft)
        self.recent_colours.learn(view.codes, soft, weight, 0.5 * rate)
        self.places.learn(view.codes, *view.canonical(self.pose), soft, weight, rate)

    def remember_look(self, rgb: Array, mask: Array) -> None:
        """Compare the (H, W) mask's picture with the last look; keep it as the new one if all of it is in sight.

        Between two looks that match well the object has kept its shape. Their similarity then tells its pose and its
        turn, of which dense flow sees a third too little.
        """
        frames = self.age - self.look_age
        in_sight = np.count_nonzero(mask) > IN_SIGHT_SHARE * self.area and not _at_edge(mask)
        if frames < LOOK_EVERY if in_sight else not self.motion.stiff:
            return
        moved = geometry.compose(self.pose, geometry.inverse(self.look.pose))
        found = settle(rgb, mask, self.look, moved, rounds=1)
        stiff = found is not None and found.mismatch < STIFF_MISMATCH
        if found is not None and stiff:
            self.pose = found.pose
        if not in_sight:
            return
        if stiff:
            moved = geometry.compose(self.pose, geometry.inverse(self.look.pose))
            middle = self.look.centre
            shift = (geometry.apply(moved, middle[None])[0] - middle) / frames
            self.motion = Motion(shift, poses.angle_of(moved) / frames)
        self.motion.stiff = stiff
        self.look, self.look_age = take_look(rgb, mask, self.pose), self.age

    def drift(self) -> None:
        """One frame out of sight: go on as before."""
        middle = geometry.apply(self.pose, self.centre[None])[0]
        self.pose = geometry.compose(poses.about(middle, self.motion.turn, 1.0, self.motion.shift), self.pose)

    def move(self, step: Array) -> None:
        """Follow the similarity that carried what was in sight from the last frame to this one."""
        middle = geometry.apply(self.pose, self.centre[None])[0]
        shift = geometry.apply(step, middle[None])[0] - middle
        if float((self.soft > 0.5).sum()) * self.px > WHOLE_SHARE * self.area:
            self.motion.learn(shift, poses.angle_of(step))
        elif self.motion.stiff:  # the rest that is in sight tells the turn of the whole badly
            step = poses.about(middle, self.motion.turn, 1.0, shift)
        self.pose = geometry.compose(step, self.pose)

    def resize(self, scale: Array) -> None:
        """Follow a change of the frame size; `scale` (2, 3) carries old frame px to new ones."""
        x, y, width, height = self.window
        (x1, y1), (x2, y2) = np.rint(geometry.apply(scale, np.array([[x, y], [x + width, y + height]]))).astype(int)
        self.window = (max(int(x1), 0), max(int(y1), 0), max(int(x2 - x1), 1), max(int(y2 - y1), 1))
        self.pose = geometry.compose(scale, self.pose)
        self.area *= geometry.scale_of(scale) ** 2
        self.motion.shift = self.motion.shift * np.array([scale[0, 0], scale[1, 1]])

    def _weight(self, view: View, soft: Array) -> Array:
        """(h, w): what each pixel counts. Unsure ones teach nothing; an object weighs the same at every size."""
        return np.asarray(np.abs(2 * soft - 1) * (OBJECT_MASS * view.px / max(self.area, 1.0)))


def _at_edge(mask: Array) -> bool:
    """Whether a mask touches the frame's edge: part of the object may be outside."""
    return bool(mask[:2].any() or mask[-2:].any() or mask[:, :2].any() or mask[:, -2:].any())


def padded(bbox: Window, size: tuple[int, int]) -> Window:
    """The window round a bounding box, inside the frame (H, W)."""
    x, y, width, height = bbox
    px, py = (max(WINDOW_PAD_PX, round(WINDOW_PAD * n)) for n in (width, height))
    x1, y1, x2, y2 = max(x - px, 0), max(y - py, 0), min(x + width + px, size[1]), min(y + height + py, size[0])
    return x1, y1, x2 - x1, y2 - y1
