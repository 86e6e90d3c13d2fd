"""A seed in, a scene out that can be drawn frame by frame: pictures before the camera, and which part is seen where.

A scene is made of layers at different depths, so that a moving camera shows parallax: a backdrop, things before it,
the bodies (each is an object; any of them may be the one to follow), and things in front. Whatever makes a real clip
hard is drawn at random and on its own: likeness to the surroundings, look-alikes, parts that come into view, shadows,
dust, rippling water, blur, light, noise, codecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.actors import Actor, draw_actor, draw_shadow
from tools.clips.body_types import random_body
from tools.clips.camera_effects import CameraEffects, blur_along, light_field
from tools.clips.curves import Curve, shake, wander
from tools.clips.jointed_body import JointedBody
from tools.clips.textures import Size, UnseenRng, blob, fractal, landscape, palette, surface

MARGIN = 0.35  # of the frame, that a backdrop is larger on each side
SPEEDS, SPEED_SHARES = (0, 1, 4, 9), (0.2, 0.35, 0.3, 0.15)  # px a frame of a picture 640 px large
RICH_SPEEDS, RICH_SPEED_SHARES = (0, 1, 4, 9, 18), (0.15, 0.3, 0.3, 0.15, 0.1)
DUST_FRAMES, DUST_GRAY = 14, 215  # how long a puff lasts; how pale it is


class Variety(Enum):
    """What there is in a clip."""

    PLAIN = "plain"  # what the pixel networks are fitted to
    RICH = "rich"  # turning boxes and faster motion as well: what the window network is fitted to
    UNSEEN = "unseen"  # as rich, with surfaces of other kinds: what it is judged by


@dataclass(frozen=True)
class Layer:
    """Things before or behind the bodies, with gaps between them."""

    picture: Array  # (H, W, 3) uint8, of the world
    alpha: Array  # (H, W) float32
    nearness: float  # how much faster than the backdrop it passes

    @property
    def behind_bodies(self) -> float:
        """Its nearness where it stands between the backdrop and the bodies."""
        return 0.5 + 0.5 * self.nearness


@dataclass(frozen=True)
class CameraMotion:
    """How the camera moves."""

    follows: bool  # the first actor
    lag: float
    pan: tuple[Curve, Curve]
    tremble: Array  # (frames + 2, 2) px
    zoom: Curve  # log
    roll: Curve  # radians


class LayeredScene:
    """Everything random about a clip, drawn from one generator."""

    def __init__(self, seed: int, size: Size = (480, 854), frames: int = 24, variety: Variety = Variety.PLAIN) -> None:
        self.rng = rng = (UnseenRng if variety is Variety.UNSEEN else np.random.Generator)(np.random.PCG64(seed))
        self.rich = variety is not Variety.PLAIN
        self.size, self.frames = size, frames
        height, width = size
        side = float(np.sqrt(height * width))
        self.colours = palette(rng, 5)
        self.world = (round(height * (1 + 2 * MARGIN)), round(width * (1 + 2 * MARGIN)))
        self.backdrop = landscape(rng, self.world, self.colours)
        self.light = light_field(rng, self.world)
        self.ripple = float(rng.choice([0, 0, 0, 1.5, 4]))  # px by which water and leaves move
        self._waves = [fractal(rng, self.world, 1.8).astype(np.float32) for _ in range(2)] if self.ripple else []
        self.middle = self._make_layer(side, 0.12) if rng.random() < 0.35 else None
        self.front = self._make_layer(side, 0.08) if rng.random() < 0.35 else None
        self.effects = CameraEffects(rng, size, frames)
        self.exposure = float(rng.choice([0, 0.25, 0.5, 0.9]))  # of a frame's time
        self.actors = self._make_actors(side)
        self.camera = self._make_camera_motion(side)
        self.dust = rng.random() < 0.12
        self._puffs = [rng.normal(0, 1, 5) for _ in range(DUST_FRAMES)]

    # --- what is in it ----------------------------------------------------------------------------------------------

    def _make_layer(self, side: float, thick: float) -> Layer:
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
        picture = surface(rng, world, palette(rng, 4, near))
        return Layer(picture, cv2.GaussianBlur(alpha, (0, 0), 0.8), float(rng.uniform(1.05, 1.8)))

    def _make_actors(self, side: float) -> list[Actor]:
        rng = self.rng
        actors: list[Actor] = []
        count = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.3, 0.2, 0.15]))
        main_height = side * float(np.exp(rng.uniform(np.log(0.08), np.log(0.75))))
        first_body, first_id = None, 1
        for k in range(count):
            alike = first_body is not None and rng.random() < 0.5
            height = main_height
            if k:
                height *= rng.uniform(0.7, 1.2) if alike else np.exp(rng.normal(0, 0.5))
            height = float(np.clip(height, 0.04 * side, 0.85 * self.size[0]))
            body = first_body if alike and rng.random() < 0.5 else None
            body = body or random_body(rng, height, self.colours, min(1.4, 300 / height), with_boxes=self.rich)
            first_body = first_body or body
            actors.append(self._make_actor(side, k + 1, body, first_id))
            first_id += len(body.parts)
        return actors

    def _make_actor(self, side: float, label: int, body: JointedBody, first_id: int) -> Actor:
        """An actor; the first one (label 1) begins near the middle of the picture."""
        rng, (height, width) = self.rng, self.size
        speeds, shares = (RICH_SPEEDS, RICH_SPEED_SHARES) if self.rich else (SPEEDS, SPEED_SHARES)
        speed = float(rng.choice(speeds, p=shares)) * side / 640
        heading = rng.uniform(0, 2 * np.pi)
        reach = (0.12, 0.12) if label == 1 else (0.35, 0.25)
        start = (
            width * (0.5 + MARGIN + rng.uniform(-1, 1) * reach[0]),
            height * (0.5 + MARGIN + rng.uniform(-1, 1) * reach[1]),
        )
        yaw = wander(rng, rng.uniform(0.3, 1.5), rng.uniform(25, 90)) if rng.random() < 0.35 else None
        return Actor(
            body=body,
            label=label,
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
            depth=float(rng.random()) if label > 1 else 0.5,
            part_ids=first_id + np.arange(len(body.parts)),
        )

    def _make_camera_motion(self, side: float) -> CameraMotion:
        rng = self.rng
        follows, lag = rng.random() < 0.5, rng.uniform(0, 0.5)
        drift = float(rng.choice([0, 1, 3, 7])) * side / 640
        return CameraMotion(
            follows,
            lag,
            pan=(wander(rng, drift * 6, rng.uniform(15, 80)), wander(rng, drift * 2, rng.uniform(15, 80))),
            tremble=shake(rng, float(rng.choice([0, 0.3, 1, 3])) * side / 640, self.frames),
            zoom=wander(rng, float(rng.choice([0, 0, 0.05, 0.2])), rng.uniform(30, 90)),
            roll=wander(rng, float(rng.choice([0, 0.01, 0.06])), rng.uniform(15, 60)),
        )

    # --- one frame --------------------------------------------------------------------------------------------------

    def view(self, t: float, nearness: float = 1.0) -> Array:
        """(3, 3): world px -> frame px."""
        camera, (height, width) = self.camera, self.size
        x, y = width * (0.5 + MARGIN), height * (0.5 + MARGIN)
        x += nearness * camera.pan[0](t)
        y += nearness * camera.pan[1](t)
        if camera.follows:
            pose = self.actors[0].pose(t * (1 - 0.1 * camera.lag))
            start = self.actors[0].pose(0)
            x += nearness * (pose[0, 2] - start[0, 2])
            y += nearness * (pose[1, 2] - start[1, 2]) * 0.7
        at = camera.tremble[np.clip(round(t), 0, len(camera.tremble) - 1)]
        zoom, roll = float(np.exp(camera.zoom(t))), camera.roll(t)
        c, s = zoom * np.cos(roll), zoom * np.sin(roll)
        return np.array(
            [[c, -s, width / 2 - c * x + s * y + at[0]], [s, c, height / 2 - s * x - c * y + at[1]], [0, 0, 1]]
        )

    def draw(self, t: int) -> tuple[Array, Array]:
        """The frame before the camera (H, W, 3) uint8, and the (H, W) uint16 image of part ids (0: no body)."""
        view = self.view(t)
        image = blur_along(self._draw_backdrop(view, t), self._blur(t))
        ids = np.zeros(self.size, np.uint16)
        if self.middle is not None:
            self._draw_layer(image, ids, self.middle, t, self.middle.behind_bodies)
        for actor in sorted(self.actors, key=lambda a: a.depth):
            if actor.shadow:
                draw_shadow(image, actor, view @ actor.pose(t))
            if self.dust and actor.label == 1:
                self._draw_dust(image, view @ actor.pose(t - 2), t, actor.body.height)
            draw_actor(image, ids, actor, (self.view(t - 1), view), t, self.exposure)
        if self.front is not None:
            self._draw_layer(image, ids, self.front, t, self.front.nearness)
        if self.light is not None:
            light = cv2.warpAffine(self.light, view[:2], self.size[::-1], borderMode=cv2.BORDER_REFLECT)
            image = cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)
        return image, ids

    def _blur(self, t: float, nearness: float = 1.0) -> Array:
        """(2,) frame px that the middle of the world moves by during the exposure."""
        middle = np.array([*(n / 2 for n in self.world[::-1]), 1])
        moved = (self.view(t + 0.5, nearness) - self.view(t - 0.5, nearness)) @ middle
        return np.asarray(self.exposure * moved[:2])

    def _draw_backdrop(self, view: Array, t: int) -> Array:
        """(H, W, 3) uint8: what is behind everything; it ripples."""
        (height, width), mode = self.size, cv2.BORDER_REFLECT
        if not self.ripple:
            return np.asarray(cv2.warpAffine(self.backdrop, view[:2], (width, height), borderMode=mode))
        phase = 0.25 * t
        y, x = np.mgrid[:height, :width].astype(np.float32)
        back = np.linalg.inv(view).astype(np.float32)
        u, v = back[0, 0] * x + back[0, 1] * y + back[0, 2], back[1, 0] * x + back[1, 1] * y + back[1, 2]
        wave = cv2.warpAffine(np.dstack(self._waves), view[:2], (width, height), borderMode=mode)
        u += self.ripple * np.sin(2 * wave[..., 0] + phase)
        v += self.ripple * np.cos(2 * wave[..., 1] + 1.3 * phase)
        return np.asarray(cv2.remap(self.backdrop, u, v, cv2.INTER_LINEAR, borderMode=mode))

    def _draw_layer(self, image: Array, ids: Array, layer: Layer, t: int, nearness: float) -> None:
        """Blend a layer over the frame; it hides the parts behind it."""
        size, view = self.size[::-1], self.view(t, nearness)
        alpha = cv2.warpAffine(layer.alpha, view[:2], size)
        if not alpha.any():
            return
        alpha = blur_along(alpha, self._blur(t, nearness))
        colour = cv2.warpAffine(layer.picture, view[:2], size, borderMode=cv2.BORDER_REFLECT)
        image[:] = cv2.blendLinear(colour, image, alpha, 1 - alpha)
        ids[alpha > 0.5] = 0

    def _draw_dust(self, image: Array, pose: Array, t: int, height: float) -> None:
        """Dust or smoke behind a body: pale puffs that grow and fade."""
        veil = np.zeros(self.size, np.float32)
        for k, puff in enumerate(self._puffs):
            age = (t + 2 * k) % DUST_FRAMES
            x, y = (pose @ [height * (0.25 * puff[0] + 0.05 * age * puff[2]), height * (0.3 + 0.12 * puff[1]), 1])[:2]
            centre = (int(np.clip(x, -9999, 9999)), int(np.clip(y, -9999, 9999)))
            cv2.circle(veil, centre, int(height * (0.06 + 0.02 * age)) + 1, 0.7 * (1 - age / DUST_FRAMES), -1)
        veil = cv2.blur(veil, (31, 31))
        image[:] = cv2.blendLinear(np.full_like(image, DUST_GRAY), image, veil, 1 - veil)
