"""A random generator in, the parts of an animal or a person out."""

from __future__ import annotations

from stream.arrays import Array
from tools.clips.bodies import Part, make_part, rolling, swing
from tools.clips.textures import Rng


def animal(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """Trunk, neck and head, four legs of two pieces, a tail."""
    coat, other = colours[0], colours[int(rng.integers(2))]
    long, thick = high * rng.uniform(0.55, 0.85), high * rng.uniform(0.18, 0.3)
    face, period = rng.choice([-1.0, 1.0]), rng.uniform(12, 40)
    parts = [
        make_part(
            rng,
            (long / 2 * 1.1, thick),
            str(rng.choice(["round", "box", "rough"])),
            coat,
            detail,
            turn=swing(rng, 0, 0.05, period),
            sway=(0.03, 0.3, 0.1),
        )
    ]
    leg = high - 2 * thick
    for k in range(4):
        thin = high * rng.uniform(0.03, 0.06)
        side = long * (0.42 if k < 2 else -0.42) * face
        upper = len(parts)
        cloth = coat * 0.85 if k % 2 else coat
        depth = (lambda t: -1.0) if k % 2 else (lambda t: 1.0)
        parts.append(
            make_part(
                rng,
                (thin * 1.4, leg / 3),
                "drop",
                cloth,
                detail,
                parent=0,
                at=(side, thick * 0.6),
                joint=(0, -leg / 3.6),
                turn=swing(rng, 0, rng.uniform(0.1, 0.6), period),
                depth=depth,
            )
        )
        parts.append(
            make_part(
                rng,
                (thin, leg / 3),
                "pole",
                cloth if rng.random() < 0.7 else other,
                detail,
                parent=upper,
                at=(0, leg / 3.6),
                joint=(0, -leg / 3.6),
                turn=swing(rng, 0.1, rng.uniform(0.1, 0.5), period),
                depth=depth,
            )
        )
    neck = len(parts)
    parts.append(
        make_part(
            rng,
            (high * 0.08, high * 0.2),
            "drop",
            coat,
            detail,
            parent=0,
            at=(face * long * 0.48, -thick * 0.5),
            joint=(0, high * 0.14),
            turn=swing(rng, face * 0.6, 0.25, period * 2),
            depth=lambda t: 0.5,
        )
    )
    parts.append(
        make_part(
            rng,
            (high * 0.15, high * 0.085),
            "round",
            other,
            detail,
            parent=neck,
            at=(face * high * 0.05, -high * 0.18),
            turn=swing(rng, 0, 0.3, period * 1.5),
            depth=lambda t: 1.0,
        )
    )
    parts.append(
        make_part(
            rng,
            (high * 0.025, high * 0.16),
            "pole",
            other,
            detail,
            parent=0,
            at=(-face * long * 0.52, -thick * 0.4),
            joint=(0, -high * 0.14),
            turn=swing(rng, face * 0.3, 0.5, period / 2),
        )
    )
    return parts


def person(rng: Rng, high: float, colours: list[Array], detail: float) -> list[Part]:
    """Trunk, head, two arms and two legs of two pieces each; the trunk turns and shows its other side."""
    shirt, trousers, skin = colours[0], colours[1], colours[2]
    period, lively = rng.uniform(10, 40), rng.uniform(0.2, 1.3)
    trunk = (high * rng.uniform(0.09, 0.14), high * 0.18)
    parts = [
        make_part(
            rng,
            trunk,
            str(rng.choice(["box", "round", "drop"])),
            shirt,
            detail,
            at=(0, -high * 0.1),
            turn=swing(rng, 0, 0.25 * lively, period),
            roll=rolling(rng),
        )
    ]
    parts.append(
        make_part(
            rng,
            (high * 0.055, high * 0.07),
            "round",
            skin,
            detail,
            parent=0,
            at=(0, -high * 0.22),
            turn=swing(rng, 0, 0.3, period),
            roll=rolling(rng),
        )
    )
    for k in (-1, 1):
        depth = (lambda t: 1.0) if k == 1 else (lambda t: -1.0)
        if rng.random() < 0.3:  # an arm that comes round from behind
            depth = swing(rng, 0, 1, period)
        thin = high * rng.uniform(0.022, 0.04)
        for cloth, tip, at, long, mean in (
            (shirt, skin, (k * trunk[0] * 0.8, -trunk[1] * 0.8), high * 0.17, -0.2 * k),
            (trousers, trousers, (k * trunk[0] * 0.4, trunk[1] * 0.85), high * 0.25, 0.0),
        ):
            upper = len(parts)
            parts.append(
                make_part(
                    rng,
                    (thin * 1.3, long / 2),
                    "drop",
                    cloth,
                    detail,
                    parent=0,
                    at=at,
                    joint=(0, -long * 0.42),
                    turn=swing(rng, mean, lively * 0.8, period),
                    depth=depth,
                )
            )
            parts.append(
                make_part(
                    rng,
                    (thin, long / 2),
                    "pole",
                    tip,
                    detail,
                    parent=upper,
                    at=(0, long * 0.4),
                    joint=(0, -long * 0.42),
                    turn=swing(rng, 0.2, lively * 0.7, period),
                    depth=depth,
                )
            )
    return parts
