"""A random generator in, a body out: animals, people, vehicles, lumps, riders, kites; turning boxes if wanted."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from tools.clips.articulated_figures import animal, person
from tools.clips.curves import rolling, swing
from tools.clips.jointed_body import FACES, JointedBody, Part, PartsBuilder, TurningBox
from tools.clips.textures import Rng, palette

BOXES = 0.15  # of the bodies, where there are turning boxes


def random_body(rng: Rng, height: float, scene_colours: Array, detail: float, with_boxes: bool = False) -> JointedBody:
    """A body of some type, `height` px tall, in colours of its own or (one in three) in the scene's."""
    camouflaged = rng.random() < 0.35
    colours = [palette(rng, 4, scene_colours if camouflaged else None) for _ in range(4)]
    if with_boxes and rng.random() < BOXES:
        return turning_box(rng, height, colours, detail)
    types = (animal, person, vehicle, lump, rider, kite)
    make_parts = types[int(rng.choice(len(types), p=[0.22, 0.24, 0.16, 0.16, 0.14, 0.08]))]
    return JointedBody(make_parts(rng, height, colours, detail), height)


def turning_box(rng: Rng, height: float, colours: list[Array], detail: float) -> TurningBox:
    """A box that turns about its upright axis and tilts; its sides are alike or each of another kind."""
    wide, deep = height * np.exp(rng.normal(0, 0.4, 2))
    half = (float(wide) / 2, height / 2, float(deep) / 2)
    start, speed = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.06)
    swinging = swing(rng, 0, rng.uniform(0, 0.5), rng.uniform(20, 80))
    tilt = swing(rng, rng.uniform(-0.4, 0.4), rng.uniform(0, 0.3), rng.uniform(20, 80))
    box = TurningBox([], height, half, lambda t: start + speed * t + swinging(t), tilt)
    builder, alike = PartsBuilder(rng, detail), rng.random() < 0.4
    for face, (_, _, u, v) in enumerate(FACES):
        cloth = colours[0 if alike else int(rng.integers(len(colours)))]
        builder.add((half[u], half[v]), "box", cloth, depth=box.depth_of(face))
    box.parts += builder.parts
    return box


def vehicle(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """A hull with a cabin, dark windows that mirror something, and wheels that turn."""
    builder = PartsBuilder(rng, detail)
    paint = colours[0][:1] + rng.normal(0, 6, (2, 3)).astype(np.float32)
    dark = np.full((3, 3), rng.uniform(15, 60), np.float32)
    length = height * rng.uniform(0.9, 1.6)
    face, wheel = rng.choice([-1.0, 1.0]), height * rng.uniform(0.13, 0.2)
    bump = swing(rng, 0, 0.02, rng.uniform(4, 15))
    shape = str(rng.choice(["box", "round"]))
    builder.add((length, height * 0.27), shape, np.clip(paint, 0, 255), at=(0, height * 0.08), turn=bump)
    cabin = builder.add(
        (length * rng.uniform(0.45, 0.7), height * 0.22),
        "box",
        np.clip(paint, 0, 255),
        parent=0,
        at=(-face * length * 0.1, -height * 0.38),
    )
    for side in (-1, 1):
        builder.add(
            (length * 0.2, height * 0.13),
            "box",
            dark if rng.random() < 0.7 else colours[3],
            parent=cabin,
            at=(side * length * 0.24, -height * 0.02),
            depth=lambda t: 0.5,
            roll=rolling(rng),
        )
    spin = rng.normal(0, 0.4)
    for side in (-1, 1):
        builder.add(
            (wheel, wheel),
            "round",
            dark,
            parent=0,
            at=(side * length * 0.62, height * 0.27),
            turn=lambda t: spin * t,
            depth=lambda t: 1.0,
        )
    if rng.random() < 0.5:
        at = (rng.uniform(-0.4, 0.4) * length, 0)
        builder.add((length * 0.3, height * 0.08), "box", colours[1], parent=0, at=at, depth=lambda t: 0.3)
    return builder.parts


def lump(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """One to three round things in a row, which roll and sway."""
    builder = PartsBuilder(rng, detail)
    for k in range(int(rng.integers(1, 4))):
        half = height / 2 * rng.uniform(0.5, 1, 2)
        motion: dict[str, object] = {"sway": (rng.uniform(0, 0.2), rng.uniform(0.1, 0.6), rng.normal(0, 0.15))}
        if rng.random() < 0.6:
            motion["roll"] = rolling(rng)
        at = (0.0, 0.0) if k == 0 else (float(rng.normal(0, height / 3)), float(rng.normal(0, height / 4)))
        builder.add(
            (half[0], half[1]),
            str(rng.choice(["round", "rough", "box", "drop"])),
            colours[k],
            parent=min(k - 1, 0),
            at=at,
            turn=swing(rng, 0, rng.uniform(0, 0.8), rng.uniform(15, 60)),
            depth=lambda t, k=k: k,
            **motion,
        )
    return builder.parts


def rider(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """A person on something with two wheels, or on a board: thin parts, gaps between them."""
    builder = PartsBuilder(rng, detail, person(rng, height * 0.8, colours, detail))
    dark = np.full((2, 3), rng.uniform(10, 90), np.float32)
    if rng.random() < 0.35:
        builder.add(
            (height * 0.3, height * 0.025),
            "round",
            colours[3],
            parent=0,
            at=(0, height * 0.45),
            turn=swing(rng, 0, 0.3, 25),
            depth=lambda t: 2.0,
        )
        return builder.parts
    wheel, spin = height * rng.uniform(0.12, 0.2), rng.normal(0, 0.4)
    frame = builder.add(
        (height * 0.3, height * rng.uniform(0.02, 0.08)),
        "box",
        colours[3],
        parent=0,
        at=(0, height * 0.32),
        turn=swing(rng, 0, 0.15, 20),
        depth=lambda t: 0.5,
    )
    for side in (-1, 1):
        builder.add(
            (wheel, wheel),
            "round",
            dark if rng.random() < 0.6 else colours[3],
            parent=frame,
            at=(side * height * 0.28, height * 0.12),
            turn=lambda t: spin * t,
            depth=lambda t: -2.0,
        )
        builder.add(
            (height * 0.012, height * 0.13),
            "pole",
            dark,
            parent=frame,
            at=(side * height * 0.24, height * 0.03),
            turn=swing(rng, side * 0.4, 0.05, 20),
            depth=lambda t: 0.6,
        )
    return builder.parts


def kite(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """A person below a canopy on thin lines."""
    canopy = height * rng.uniform(0.25, 0.5)
    sway = swing(rng, 0, 0.15, rng.uniform(20, 50))
    builder = PartsBuilder(rng, detail)
    builder.add(
        (canopy, height * 0.1),
        str(rng.choice(["round", "box"])),
        colours[0],
        at=(0, -height * 0.4),
        turn=sway,
        sway=(0.05, 0.5, 0.2),
    )
    for side in rng.uniform(-0.8, 0.8, int(rng.integers(2, 6))):
        tilt = float(np.arctan2(side * canopy, height * 0.6))
        half_width = max(0.7, height * 0.004)
        builder.add(
            (half_width, height * 0.31),
            "pole",
            np.full((2, 3), rng.uniform(10, 240), np.float32),
            parent=0,
            at=(side * canopy, height * 0.05),
            joint=(0, -height * 0.31),
            turn=lambda t, tilt=tilt: tilt,
            depth=lambda t: -1.0,
        )
    first = len(builder.parts)
    small = person(rng, height * 0.35, colours[1:] + colours[:1], detail)
    for part in small:
        part.parent = part.parent + first if part.parent >= 0 else 0
    small[0].at = (0.0, height * 0.68)
    return builder.parts + small
