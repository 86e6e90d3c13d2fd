"""A random generator in, the parts of an animal or a person out."""

from __future__ import annotations

from stream.arrays import Array
from tools.clips.curves import Curve, rolling, swing
from tools.clips.jointed_body import Part, PartsBuilder
from tools.clips.textures import Rng


def animal(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """Trunk, neck and head, four legs of two pieces, a tail."""
    builder = PartsBuilder(rng, detail)
    coat, other = colours[0], colours[int(rng.integers(2))]
    length, half_height = height * rng.uniform(0.55, 0.85), height * rng.uniform(0.18, 0.3)
    face, period = rng.choice([-1.0, 1.0]), rng.uniform(12, 40)
    builder.add(
        (length / 2 * 1.1, half_height),
        str(rng.choice(["round", "box", "rough"])),
        coat,
        turn=swing(rng, 0, 0.05, period),
        sway=(0.03, 0.3, 0.1),
    )
    for k in range(4):
        half_width = height * rng.uniform(0.03, 0.06)
        hip = (length * (0.42 if k < 2 else -0.42) * face, half_height * 0.6)
        _add_animal_leg(
            builder,
            hip,
            height - 2 * half_height,
            half_width,
            (coat * 0.85 if k % 2 else coat, other),
            period,
            far=k % 2 == 1,
        )
    _add_neck_and_head(builder, height, (face, length, half_height), (coat, other), period)
    builder.add(
        (height * 0.025, height * 0.16),
        "pole",
        other,
        parent=0,
        at=(-face * length * 0.52, -half_height * 0.4),
        joint=(0, -height * 0.14),
        turn=swing(rng, face * 0.3, 0.5, period / 2),
    )
    return builder.parts


def _add_animal_leg(
    builder: PartsBuilder,
    hip: tuple[float, float],
    length: float,
    half_width: float,
    colours: tuple[Array, Array],
    period: float,
    far: bool,
) -> None:
    """Two pieces below the trunk, which is part 0; behind it on the far side."""
    rng, (cloth, other) = builder.rng, colours
    depth = (lambda t: -1.0) if far else (lambda t: 1.0)
    upper = builder.add(
        (half_width * 1.4, length / 3),
        "drop",
        cloth,
        parent=0,
        at=hip,
        joint=(0, -length / 3.6),
        turn=swing(rng, 0, rng.uniform(0.1, 0.6), period),
        depth=depth,
    )
    builder.add(
        (half_width, length / 3),
        "pole",
        cloth if rng.random() < 0.7 else other,
        parent=upper,
        at=(0, length / 3.6),
        joint=(0, -length / 3.6),
        turn=swing(rng, 0.1, rng.uniform(0.1, 0.5), period),
        depth=depth,
    )


def _add_neck_and_head(
    builder: PartsBuilder,
    height: float,
    trunk: tuple[float, float, float],
    colours: tuple[Array, Array],
    period: float,
) -> None:
    """At the front of the trunk, which is part 0; `trunk`: where it faces (-1 or 1), its length and half height."""
    rng, (face, length, half_height), (coat, other) = builder.rng, trunk, colours
    neck = builder.add(
        (height * 0.08, height * 0.2),
        "drop",
        coat,
        parent=0,
        at=(face * length * 0.48, -half_height * 0.5),
        joint=(0, height * 0.14),
        turn=swing(rng, face * 0.6, 0.25, period * 2),
        depth=lambda t: 0.5,
    )
    builder.add(
        (height * 0.15, height * 0.085),
        "round",
        other,
        parent=neck,
        at=(face * height * 0.05, -height * 0.18),
        turn=swing(rng, 0, 0.3, period * 1.5),
        depth=lambda t: 1.0,
    )


def person(rng: Rng, height: float, colours: list[Array], detail: float) -> list[Part]:
    """Trunk, head, two arms and two legs of two pieces each; the trunk turns and shows its other side."""
    builder = PartsBuilder(rng, detail)
    shirt, trousers, skin = colours[0], colours[1], colours[2]
    period, lively = rng.uniform(10, 40), rng.uniform(0.2, 1.3)
    trunk = (height * rng.uniform(0.09, 0.14), height * 0.18)
    builder.add(
        trunk,
        str(rng.choice(["box", "round", "drop"])),
        shirt,
        at=(0, -height * 0.1),
        turn=swing(rng, 0, 0.25 * lively, period),
        roll=rolling(rng),
    )
    builder.add(
        (height * 0.055, height * 0.07),
        "round",
        skin,
        parent=0,
        at=(0, -height * 0.22),
        turn=swing(rng, 0, 0.3, period),
        roll=rolling(rng),
    )
    for side in (-1, 1):
        depth: Curve = (lambda t: 1.0) if side == 1 else (lambda t: -1.0)
        if rng.random() < 0.3:  # an arm that comes round from behind
            depth = swing(rng, 0, 1, period)
        half_width = height * rng.uniform(0.022, 0.04)
        shoulder, hip = (side * trunk[0] * 0.8, -trunk[1] * 0.8), (side * trunk[0] * 0.4, trunk[1] * 0.85)
        _add_limb(builder, shoulder, (half_width, height * 0.17), (shirt, skin), (-0.2 * side, lively, period), depth)
        _add_limb(builder, hip, (half_width, height * 0.25), (trousers, trousers), (0.0, lively, period), depth)
    return builder.parts


def _add_limb(
    builder: PartsBuilder,
    at: tuple[float, float],
    size: tuple[float, float],
    colours: tuple[Array, Array],
    turn: tuple[float, float, float],
    depth: Curve,
) -> None:
    """Two pieces on the trunk, which is part 0: their half width and length; their colours; how the limb turns."""
    rng, (half_width, length), (mean, lively, period) = builder.rng, size, turn
    upper = builder.add(
        (half_width * 1.3, length / 2),
        "drop",
        colours[0],
        parent=0,
        at=at,
        joint=(0, -length * 0.42),
        turn=swing(rng, mean, lively * 0.8, period),
        depth=depth,
    )
    builder.add(
        (half_width, length / 2),
        "pole",
        colours[1],
        parent=upper,
        at=(0, length * 0.4),
        joint=(0, -length * 0.42),
        turn=swing(rng, 0.2, lively * 0.7, period),
        depth=depth,
    )
