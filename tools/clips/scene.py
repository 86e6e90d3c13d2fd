"""A seed in, a scene out that can be drawn frame by frame: pictures before the lens, and which part is seen where.

A scene is made of layers at different depths, so that a moving camera shows parallax: a backdrop, things before it,
the bodies (each is an object; any of them may be the one to follow), and things in front. Whatever makes a real clip
hard is drawn at random and on its own: likeness to the surroundings, look-alikes, parts that come into view, shadows,
dust, rippling water, blur, light, noise, codecs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.bodies import Body, Part
from tools.clips.kinds import body
from tools.clips.lens import Lens, Wander, light_field, shake, streak, wander
from tools.clips.textures import Size, blob, fractal, landscape, palette, surface

MARGIN = 0.35  # of the frame, that a backdrop is larger on each side


@dataclass
class Actor:
    """A body and its way through the world."""

    body: Body
    label: int
    start: tuple[float, float]
    path: tuple[Wander, Wander]
    velocity: tuple[float, float]
    turn: Wander
    grow: Wander  # of the log of its size
    yaw: Wander | None  # out of the plane: it narrows, and its other side shows
    shadow: float  # 0..1
    depth: float
    entry: Array  # indices of this actor's parts in the id image

    def pose(self, t: float) -> Array:
        """(3, 3): body px -> world px."""
        size = float(np.exp(np.clip(self.grow(t), -1, 1)))
        wide = 0.3 + 0.7 * abs(np.cos(self.yaw(t))) if self.yaw else 1.0
        c, s = np.cos(self.turn(t)), np.sin(self.turn(t))
        x = self.start[0] + self.velocity[0] * t + self.path[0](t)
        y = self.start[1] + self.velocity[1] * t + self.path[1](t)
        return np.array([[c * size * wide, -s * size, x], [s * size * wide, c * size, y], [0, 0, 1]])


class Scene:
    """Everything random about a clip, drawn from one generator."""

    def __init__(self, seed: int, size: Size = (480, 854), frames: int = 24) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.size, self.frames = size, frames
        height, width = size
        side = float(np.sqrt(height * width))
        self.colours = palette(rng, 5)
        self.world = (round(height * (1 + 2 * MARGIN)), round(width * (1 + 2 * MARGIN)))
        self.backdrop = landscape(rng, self.world, self.colours)
        self.light = light_field(rng, self.world)
        self.ripple = float(rng.choice([0, 0, 0, 1.5, 4]))  # px by which water and leaves move
        self._waves = [fractal(rng, self.world, 1.8).astype(np.float32) for _ in range(2)] if self.ripple else []
        self.middle = self._screen(side, 0.12) if rng.random() < 0.35 else None
        self.front = self._screen(side, 0.08) if rng.random() < 0.35 else None
        self.lens = Lens(rng, size, frames)
        self.exposure = float(rng.choice([0, 0.25, 0.5, 0.9]))  # of a frame's time
        self._cast(side)
        self._camera(side)
        self.dust = rng.random() < 0.12
        self._puffs = [rng.normal(0, 1, 5) for _ in range(14)]

    def _cast(self, side: float) -> None:
        rng, (height, width) = self.rng, self.size
        self.actors: list[Actor] = []
        count = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.2, 0.15]))
        main_high = side * float(np.exp(rng.uniform(np.log(0.08), np.log(0.75))))
        first, entry = None, 1
        for k in range(count):
            alike = first is not None and rng.random() < 0.5
            high = main_high * (rng.uniform(0.7, 1.2) if alike else np.exp(rng.normal(0, 0.5))) if k else main_high
            high = float(np.clip(high, 0.04 * side, 0.85 * height))
            detail = min(1.4, 300 / high)
            drawn = (
                first if alike and rng.random() < 0.5 and first is not None else body(rng, high, self.colours, detail)
            )
            first = first or drawn
            speed = float(rng.choice([0, 1, 4, 9], p=[0.2, 0.35, 0.3, 0.15])) * side / 640
            heading = rng.uniform(0, 2 * np.pi)
            reach = (0.12, 0.12) if k == 0 else (0.35, 0.25)
            start = (
                width * (0.5 + MARGIN + rng.uniform(-1, 1) * reach[0]),
                height * (0.5 + MARGIN + rng.uniform(-1, 1) * reach[1]),
            )
            entries = entry + np.arange(len(drawn.parts))
            entry += len(drawn.parts)
            yaw = wander(rng, rng.uniform(0.3, 1.5), rng.uniform(25, 90)) if rng.random() < 0.35 else None
            self.actors.append(
                Actor(
                    body=drawn,
                    label=k + 1,
                    start=start,
                    path=(
                        wander(rng, rng.uniform(0, 0.06) * side, rng.uniform(12, 50)),
                        wander(rng, rng.uniform(0, 0.04) * side, rng.uniform(8, 40)),
                    ),
                    velocity=(speed * float(np.cos(heading)), 0.4 * speed * float(np.sin(heading))),
                    turn=wander(rng, rng.choice([0.02, 0.1, 0.5]), rng.uniform(15, 60)),
                    grow=wander(rng, rng.choice([0.02, 0.1, 0.3]), rng.uniform(20, 80)),
                    yaw=yaw,
                    shadow=float(rng.choice([0, 0, 0.35, 0.6])),
                    depth=float(rng.random()) if k else 0.5,
                    entry=entries,
                )
            )

    def _camera(self, side: float) -> None:
        rng = self.rng
        self.follows = rng.random() < 0.5
        self._lag = rng.uniform(0, 0.5)
        drift = float(rng.choice([0, 1, 3, 7])) * side / 640
        self._pan = (wander(rng, drift * 6, rng.uniform(15, 80)), wander(rng, drift * 2, rng.uniform(15, 80)))
        self._tremble = shake(rng, float(rng.choice([0, 0.3, 1, 3])) * side / 640, self.frames)
        self._zoom = wander(rng, float(rng.choice([0, 0, 0.05, 0.2])), rng.uniform(30, 90))
        self._roll = wander(rng, float(rng.choice([0, 0.01, 0.06])), rng.uniform(15, 60))

    def _screen(self, side: float, thick: float) -> tuple[Array, Array, float]:
        """A layer with gaps: its picture, its alpha, and how much faster than the backdrop it passes."""
        rng, world = self.rng, self.world
        alpha = np.zeros(world, np.float32)
        for _ in range(int(rng.integers(1, 9))):
            x, y = rng.uniform(0, 1, 2) * world[::-1]
            if rng.random() < 0.5:  # poles, trunks, fences
                wide = max(2.0, side * rng.uniform(0.004, thick))
                lean = rng.normal(0, 0.1) * world[0]
                cv2.line(alpha, (int(x), 0), (int(x + lean), world[0]), 1, round(wide))
            else:
                high, broad = (int(side * rng.uniform(0.05, 3 * thick)) + 4 for _ in "hw")
                shape = blob(rng, (high, broad), rng.uniform(0.2, 0.9)).astype(np.float32)
                y1, x1 = int(np.clip(y, 0, world[0] - high)), int(np.clip(x, 0, world[1] - broad))
                alpha[y1 : y1 + high, x1 : x1 + broad] = np.maximum(alpha[y1 : y1 + high, x1 : x1 + broad], shape)
        near = self.colours if rng.random() < 0.6 else None
        return (
            surface(rng, world, palette(rng, 4, near)),
            cv2.GaussianBlur(alpha, (0, 0), 0.8),
            float(rng.uniform(1.05, 1.8)),
        )

    # --- one frame --------------------------------------------------------------------------------------------------

    def view(self, t: float, nearness: float = 1.0) -> Array:
        """(3, 3): world px -> frame px."""
        height, width = self.size
        x, y = width * (0.5 + MARGIN), height * (0.5 + MARGIN)
        x += nearness * self._pan[0](t)
        y += nearness * self._pan[1](t)
        if self.follows:
            pose = self.actors[0].pose(t * (1 - 0.1 * self._lag))
            start = self.actors[0].pose(0)
            x += nearness * (pose[0, 2] - start[0, 2])
            y += nearness * (pose[1, 2] - start[1, 2]) * 0.7
        at = self._tremble[np.clip(round(t), 0, len(self._tremble) - 1)]
        zoom, roll = float(np.exp(self._zoom(t))), self._roll(t)
        c, s = zoom * np.cos(roll), zoom * np.sin(roll)
        return np.array(
            [[c, -s, width / 2 - c * x + s * y + at[0]], [s, c, height / 2 - s * x - c * y + at[1]], [0, 0, 1]]
        )

    def draw(self, t: int) -> tuple[Array, Array]:
        """The frame before the lens (H, W, 3) uint8, and the (H, W) uint16 image of part ids (0: no body)."""
        height, width = self.size
        view = self.view(t)
        moved = (self.view(t + 0.5) - self.view(t - 0.5)) @ np.array([*(n / 2 for n in self.world[::-1]), 1])
        backdrop = self.backdrop
        if self.ripple:
            a, b = self._waves
            phase = 0.25 * t
            y, x = np.mgrid[:height, :width].astype(np.float32)
            back = np.linalg.inv(view).astype(np.float32)
            u, v = back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]
            wave = cv2.warpAffine(np.dstack([a, b]), view[:2], (width, height), borderMode=cv2.BORDER_REFLECT)
            u += self.ripple * np.sin(2 * wave[..., 0] + phase)
            v += self.ripple * np.cos(2 * wave[..., 1] + 1.3 * phase)
            image = cv2.remap(backdrop, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        else:
            image = cv2.warpAffine(
                backdrop, view[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        image = streak(image, self.exposure * moved[:2])
        ids = np.zeros(self.size, np.uint16)
        if self.middle is not None:
            self._lay(image, ids, self.middle, t, 0.5 + 0.5 * self.middle[2])
        for actor in sorted(self.actors, key=lambda a: a.depth):
            if actor.shadow:
                self._shadow(image, actor, view @ actor.pose(t))
            if self.dust and actor.label == 1:
                self._cloud(image, view @ actor.pose(t - 2), t, actor.body.height)
            self._draw_actor(image, ids, actor, t)
        if self.front is not None:
            self._lay(image, ids, self.front, t, self.front[2])
        if self.light is not None:
            light = cv2.warpAffine(self.light, view[:2], (width, height), borderMode=cv2.BORDER_REFLECT)
            image = cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
        return image, ids

    def _lay(self, image: Array, ids: Array, layer: tuple[Array, Array, float], t: int, nearness: float) -> None:
        height, width = self.size
        view = self.view(t, nearness)
        moved = (self.view(t + 0.5, nearness) - self.view(t - 0.5, nearness)) @ np.array(
            [*(n / 2 for n in self.world[::-1]), 1]
        )
        alpha = cv2.warpAffine(layer[1], view[:2], (width, height))
        if not alpha.any():
            return
        alpha = streak(alpha, self.exposure * moved[:2])
        colour = cv2.warpAffine(layer[0], view[:2], (width, height), borderMode=cv2.BORDER_REFLECT)
        mix = cv2.blendLinear(colour, image, alpha, 1 - alpha)
        image[:] = mix
        ids[alpha > 0.5] = 0

    def _shadow(self, image: Array, actor: Actor, pose: Array) -> None:
        high = actor.body.height
        at = (pose @ [0.1 * high, 0.46 * high, 1])[:2]
        size = float(np.hypot(pose[0, 0], pose[1, 0]))
        dark = np.zeros(self.size, np.uint8)
        axes = (max(1, int(0.45 * high * size)), max(1, int(0.09 * high * size)))
        cv2.ellipse(dark, (int(at[0]), int(at[1])), axes, 0, 0, 360, 255, -1)
        x, y, w, h = cv2.boundingRect(dark)
        if w == 0:
            return
        part = (slice(y, y + h), slice(x, x + w))
        shade = 1 - actor.shadow * cv2.blur(dark[part], (5, 5)).astype(np.float32) / 255
        image[part] = cv2.multiply(image[part], cv2.merge([shade] * 3), dtype=cv2.CV_8U)

    def _cloud(self, image: Array, pose: Array, t: int, high: float) -> None:
        """Dust or smoke behind a body: pale puffs that grow and fade."""
        veil = np.zeros(self.size, np.float32)
        for k, puff in enumerate(self._puffs):
            age = (t + 2 * k) % 14
            x, y = (pose @ [high * (0.25 * puff[0] + 0.05 * age * puff[2]), high * (0.3 + 0.12 * puff[1]), 1])[:2]
            cv2.circle(
                veil,
                (int(np.clip(x, -9999, 9999)), int(np.clip(y, -9999, 9999))),
                int(high * (0.06 + 0.02 * age)) + 1,
                0.7 * (1 - age / 14),
                -1,
            )
        veil = cv2.blur(veil, (31, 31))
        image[:] = cv2.blendLinear(np.full_like(image, 215), image, veil, 1 - veil)

    def _draw_actor(self, image: Array, ids: Array, actor: Actor, t: int) -> None:
        to_frame, poses = self.view(t) @ actor.pose(t), actor.body.poses(t)
        before, earlier = self.view(t - 1) @ actor.pose(t - 1), actor.body.poses(t - 1)
        for k in sorted(range(len(poses)), key=lambda k: actor.body.parts[k].depth(t)):
            part = actor.body.parts[k]
            square = to_frame @ np.vstack([poses[k], [0, 0, 1]])
            last = before @ np.vstack([earlier[k], [0, 0, 1]])
            _stamp(image, ids, part, square, t, self.exposure * (square - last)[:2, 2], int(actor.entry[k]))


def _stamp(image: Array, ids: Array, part: Part, square: Array, t: int, motion: Array, entry: int) -> None:
    """Blend a part into its corner of the frame."""
    height, width = image.shape[:2]
    corners = square @ np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [1, 1, 1, 1]])
    room = 2 + np.minimum(np.abs(motion) / 2, 20)
    low, high = (
        np.floor(corners[:2].min(axis=1) - room).astype(int),
        np.ceil(corners[:2].max(axis=1) + room).astype(int),
    )
    x1, y1, x2, y2 = max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height)
    if x1 >= x2 or y1 >= y2:
        return
    sprite = part.sprite(t)
    half = (sprite.shape[0] - 1) / 2
    place = square.copy()
    place[:2, 2] -= square[:2, :2] @ [1, 1]
    place[:2, :2] /= half
    place[:2, 2] -= (x1, y1)
    flags = cv2.INTER_LINEAR if abs(np.linalg.det(place[:2, :2])) > 0.2 else cv2.INTER_AREA
    drawn = streak(cv2.warpAffine(sprite, place[:2], (x2 - x1, y2 - y1), flags=flags), motion)
    alpha = drawn[..., 3]
    corner = image[y1:y2, x1:x2]
    corner[:] = np.clip(corner * (1 - alpha[..., None]) + drawn[..., :3], 0, 255).astype(np.uint8)
    ids[y1:y2, x1:x2][alpha > 0.5] = entry
