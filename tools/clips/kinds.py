"""A random generator in, a body of one of many kinds out: animals, people, vehicles, lumps, riders, kites."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from tools.clips.articulated_figures import animal, person
from tools.clips.bodies import Body, Part, make_part, rolling, swing
from tools.clips.textures import Rng, palette


def body(rng: Rng, height: float, scene_colours: Array, detail: float) -> Body:
    """A body of one of many kinds, `height` px tall, in colours of its own or (one in three) in the scene's."""
    hides = rng.random() < 0.35
    colours = [palette(rng, 4, scene_colours if hides else None) for _ in range(4)]
    kinds = (animal, person, vehicle, lump, rider, kite)
    kind = kinds[int(rng.choice(len(kinds), p=[0.22, 0.24, 0.16, 0.16, 0.14, 0.08]))]
    return Body(kind(rng, height, colours, detail), height)


def vehicle(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """A hull with a cabin, dark windows that mirror something, and wheels that turn."""
    paint, dark = (
        colours[0][:1] + rng.normal(0, 6, (2, 3)).astype(np.float32),
        np.full((3, 3), rng.uniform(15, 60), np.float32),
    )
    long = high * rng.uniform(0.9, 1.6)
    face, wheel = rng.choice([-1.0, 1.0]), high * rng.uniform(0.13, 0.2)
    bump = swing(rng, 0, 0.02, rng.uniform(4, 15))
    shape = str(rng.choice(["box", "round"]))
    parts = [make_part(rng, (long, high * 0.27), shape, np.clip(paint, 0, 255), detail, at=(0, high * 0.08), turn=bump)]
    cabin = len(parts)
    parts.append(
        make_part(
            rng,
            (long * rng.uniform(0.45, 0.7), high * 0.22),
            "box",
            np.clip(paint, 0, 255),
            detail,
            parent=0,
            at=(-face * long * 0.1, -high * 0.38),
        )
    )
    parts += [
        make_part(
            rng,
            (long * 0.2, high * 0.13),
            "box",
            dark if rng.random() < 0.7 else colours[3],
            detail,
            parent=cabin,
            at=(side * long * 0.24, -high * 0.02),
            depth=lambda t: 0.5,
            roll=rolling(rng),
        )
        for side in (-1, 1)
    ]
    spin = rng.normal(0, 0.4)
    parts += [
        make_part(
            rng,
            (wheel, wheel),
            "round",
            dark,
            detail,
            parent=0,
            at=(side * long * 0.62, high * 0.27),
            turn=lambda t: spin * t,
            depth=lambda t: 1.0,
        )
        for side in (-1, 1)
    ]
    if rng.random() < 0.5:
        parts.append(
            make_part(
                rng,
                (long * 0.3, high * 0.08),
                "box",
                colours[1],
                detail,
                parent=0,
                at=(rng.uniform(-0.4, 0.4) * long, 0),
                depth=lambda t: 0.3,
            )
        )
    return parts


def lump(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """One to three round things in a row, which roll and sway."""
    parts = []
    for k in range(int(rng.integers(1, 4))):
        half = high / 2 * rng.uniform(0.5, 1, 2)
        how: dict[str, object] = {"sway": (rng.uniform(0, 0.2), rng.uniform(0.1, 0.6), rng.normal(0, 0.15))}
        if rng.random() < 0.6:
            how["roll"] = rolling(rng)
        at = (0.0, 0.0) if k == 0 else (float(rng.normal(0, high / 3)), float(rng.normal(0, high / 4)))
        parts.append(
            make_part(
                rng,
                (half[0], half[1]),
                str(rng.choice(["round", "rough", "box", "drop"])),
                colours[k],
                detail,
                parent=min(k - 1, 0),
                at=at,
                turn=swing(rng, 0, rng.uniform(0, 0.8), rng.uniform(15, 60)),
                depth=lambda t, k=k: k,
                **how,
            )
        )
    return parts


def rider(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """A person on something with two wheels, or on a board: thin parts, gaps between them."""
    parts = person(rng, high * 0.8, colours, detail)
    dark = np.full((2, 3), rng.uniform(10, 90), np.float32)
    if rng.random() < 0.35:
        parts.append(
            make_part(
                rng,
                (high * 0.3, high * 0.025),
                "round",
                colours[3],
                detail,
                parent=0,
                at=(0, high * 0.45),
                turn=swing(rng, 0, 0.3, 25),
                depth=lambda t: 2.0,
            )
        )
        return parts
    wheel, spin = high * rng.uniform(0.12, 0.2), rng.normal(0, 0.4)
    frame = len(parts)
    parts.append(
        make_part(
            rng,
            (high * 0.3, high * rng.uniform(0.02, 0.08)),
            "box",
            colours[3],
            detail,
            parent=0,
            at=(0, high * 0.32),
            turn=swing(rng, 0, 0.15, 20),
            depth=lambda t: 0.5,
        )
    )
    for side in (-1, 1):
        parts.append(
            make_part(
                rng,
                (wheel, wheel),
                "round",
                dark if rng.random() < 0.6 else colours[3],
                detail,
                parent=frame,
                at=(side * high * 0.28, high * 0.12),
                turn=lambda t: spin * t,
                depth=lambda t: -2.0,
            )
        )
        parts.append(
            make_part(
                rng,
                (high * 0.012, high * 0.13),
                "pole",
                dark,
                detail,
                parent=frame,
                at=(side * high * 0.24, high * 0.03),
                turn=swing(rng, side * 0.4, 0.05, 20),
                depth=lambda t: 0.6,
            )
        )
    return parts


def kite(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """A person below a canopy on thin lines."""
    canopy = high * rng.uniform(0.25, 0.5)
    sway = swing(rng, 0, 0.15, rng.uniform(20, 50))
    parts = [
        make_part(
            rng,
            (canopy, high * 0.1),
            str(rng.choice(["round", "box"])),
            colours[0],
            detail,
            at=(0, -high * 0.4),
            turn=sway,
            sway=(0.05, 0.5, 0.2),
        )
    ]
    for side in rng.uniform(-0.8, 0.8, int(rng.integers(2, 6))):
        tilt = float(np.arctan2(side * canopy, high * 0.6))
        thin = max(0.7, high * 0.004)
        parts.append(
            make_part(
                rng,
                (thin, high * 0.31),
                "pole",
                np.full((2, 3), rng.uniform(10, 240), np.float32),
                detail,
                parent=0,
                at=(side * canopy, high * 0.05),
                joint=(0, -high * 0.31),
                turn=lambda t, tilt=tilt: tilt,
                depth=lambda t: -1.0,
            )
        )
    first = len(parts)
    small = person(rng, high * 0.35, colours[1:] + colours[:1], detail)
    for part in small:
        part.parent = part.parent + first if part.parent >= 0 else 0
    small[0].at = (0.0, high * 0.68)
    return parts + small
