"""A random generator in, pictures of stuff out: surfaces whose statistics resemble those of photographs.

Natural pictures have spectra that fall like 1/f, and edges because things lie before other things. The first is drawn
by filtering noise, the second by strewing opaque leaves of all sizes; most surfaces mix both.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array

Rng = np.random.Generator
Size = tuple[int, int]  # (H, W) px


class UnseenRng(np.random.Generator):
    """Draws clips to judge by: with surfaces of kinds that no clip to fit to has."""


def fractal(rng: Rng, size: Size, fall: float, stretch: float = 1.0) -> Array:
    """(H, W) float32 noise of mean 0 and deviation 1 with amplitudes like 1 / f ** fall; stretch: streaks."""
    coarse = 2 if fall < 1.5 else 4  # what is smooth needs no pixels
    height, width = (max(8, n // coarse) for n in size)
    fy = np.fft.fftfreq(height)[:, None] * stretch
    fx = np.fft.rfftfreq(width)[None]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width)) ** fall
    amplitude[0, 0] = 0
    phase = rng.uniform(0, 2 * np.pi, amplitude.shape)
    noise = np.fft.irfft2(amplitude * np.exp(1j * phase), (height, width)).astype(np.float32)
    noise = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    if fall < 1.6:  # what half the resolution could not hold
        noise += 0.35 * (1.6 - fall) * noise.std() * rng.standard_normal(size, np.float32)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6))


def palette(rng: Rng, count: int = 5, near: Array | None = None) -> Array:
    """(count, 3) float32 RGB: colours that go together, mostly dull ones, as outdoors; or close to given ones."""
    if near is not None:
        picked = near[rng.integers(0, len(near), count)]
        return np.clip(picked + rng.normal(0, 12, (count, 3)), 2, 253).astype(np.float32)
    # half of all scenes lie between earth and leaf (OpenCV's hue: 10..50)
    hue = (rng.choice([rng.uniform(0, 180), rng.uniform(8, 50)]) + rng.normal(0, rng.choice([6, 20, 60]), count)) % 180
    saturation = np.clip(rng.beta(1.3, 3.2, count) * rng.uniform(0.3, 1.3) * 255, 0, 250)
    value = np.clip(rng.normal(rng.uniform(70, 170), 55, count), 12, 248)
    hsv = np.stack([hue, saturation, value], axis=1).astype(np.uint8)[None]
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(np.float32))


def tinted(values: Array, colours: Array) -> Array:
    """(H, W, 3) float32: values of mean 0 and deviation 1 as a way through the colours."""
    at = np.clip((values + 1.8) / 3.6, 0, 1) * (len(colours) - 1)
    steps = np.arange(len(colours))
    return np.stack([np.interp(at, steps, colours[:, c]) for c in range(3)], axis=-1).astype(np.float32)


def leaves(rng: Rng, size: Size, colours: Array, least_px: float = 4, largest: float = 0.4) -> Array:
    """(H, W, 3) float32: opaque shapes of all sizes, small ones before large ones; each with a shade of its own."""
    height, width = size
    image = np.empty((height, width, 3), np.float32)
    image[:] = colours[rng.integers(len(colours))]
    top = max(largest * min(size), 1.5 * least_px)
    count = int(rng.uniform(100, 700))
    # radii by the power law r^-3 make a scene look alike at every scale
    radii = 1 / np.sqrt(rng.uniform(1 / top**2, 1 / least_px**2, count))
    boxy = rng.random() < 0.3
    for radius in sorted(radii, reverse=True):
        x, y = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height
        colour = colours[rng.integers(len(colours))] + rng.normal(0, 14, 3)
        corners = 4 if boxy else int(rng.integers(3, 12))
        turn = np.sort(rng.uniform(0, 2 * np.pi, corners)) if not boxy else np.arange(4) * np.pi / 2 + np.pi / 4
        reach = radius * rng.uniform(0.6, 1.3, corners) if not boxy else np.full(4, radius)
        squeeze = rng.uniform(0.3, 1)
        points = np.stack([x + reach * np.cos(turn), y + squeeze * reach * np.sin(turn)], axis=1)
        cv2.fillPoly(image, [np.rint(points * 8).astype(np.int32)], colour.tolist(), lineType=cv2.LINE_AA, shift=3)
    return image


def bands(rng: Rng, size: Size, colours: Array) -> Array:
    """(H, W, 3) float32: stripes, checks or spots, bent a little."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    turn, period = rng.uniform(0, np.pi), rng.uniform(5, 50)
    bend = fractal(rng, size, 2.2) * rng.uniform(0, 0.5)
    along = (x * np.cos(turn) + y * np.sin(turn)) / period + bend
    across = (y * np.cos(turn) - x * np.sin(turn)) / (period * rng.uniform(0.6, 1.6)) + bend
    kind = rng.integers(3)
    pattern = np.sin(2 * np.pi * along)
    if kind == 1:
        pattern = np.sign(pattern) * np.sign(np.sin(2 * np.pi * across))
    elif kind == 2:
        pattern = pattern + np.sin(2 * np.pi * across)
    pattern = np.clip(pattern * rng.uniform(1, 8), -1, 1)
    one, two = colours[rng.integers(0, len(colours), 2)]
    share = (pattern[..., None] + 1) / 2
    return np.asarray(share * one + (1 - share) * two, np.float32)


def surface(rng: Rng, size: Size, colours: Array) -> Array:
    """(H, W, 3) uint8: a surface of one of many kinds."""
    if isinstance(rng, UnseenRng):
        return _unseen_surface(rng, size, colours)
    image: Array
    kind = rng.choice(["fractal", "leaves", "bands", "plain", "mixed"], p=[0.3, 0.17, 0.1, 0.18, 0.25])
    if kind == "plain":
        image = np.broadcast_to(colours[rng.integers(len(colours))], (*size, 3)).astype(np.float32)
    elif kind == "fractal":
        image = tinted(fractal(rng, size, rng.uniform(0.7, 2.0), rng.choice([1, 1, 0.3, 3])), colours)
    elif kind == "leaves":
        image = leaves(rng, size, colours, rng.uniform(2, 10))
    elif kind == "bands":
        image = bands(rng, size, colours)
    else:
        one, two = (
            tinted(fractal(rng, size, rng.uniform(0.8, 2)), colours[rng.permutation(len(colours))]) for _ in "ab"
        )
        share = np.clip(fractal(rng, size, 1.8) * rng.uniform(1, 8) + rng.normal(0, 0.7), 0, 1)[..., None]
        image = share * one + (1 - share) * two
    grain = fractal(rng, size, rng.uniform(0.5, 1.6)) * rng.uniform(1, 16)
    image = (image + grain[..., None]) * (1 + fractal(rng, size, 2.2) * rng.uniform(0, 0.2))[..., None]
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def landscape(rng: Rng, size: Size, colours: Array) -> Array:
    """(H, W, 3) uint8: a backdrop: ground up to a horizon, things along it, and a far part above."""
    height, width = size
    image = surface(rng, size, colours)
    if rng.random() < 0.25:
        return image
    line = (rng.uniform(0.15, 0.6) + 0.02 * fractal(rng, (1, width), 1.5)[0] * rng.uniform(0, 2)) * height
    above = np.arange(height)[:, None] < line[None]
    if rng.random() < 0.5:  # open sky
        pale = rng.uniform(120, 250) + rng.uniform((-50, -20, 0), (0, 5, 30))
        sky = pale + np.linspace(-25, 25, height)[:, None, None] * rng.uniform(-1, 1)
        sky = sky + (np.clip(fractal(rng, size, 1.8), 0, 3) * rng.uniform(0, 25))[..., None]
        image[above] = np.clip(sky, 0, 255).astype(np.uint8)[above]
    else:
        image[above] = surface(rng, size, palette(rng, 5, colours if rng.random() < 0.5 else None))[above]
    for _ in range(int(rng.integers(0, 14))):  # trees, walls, people along the horizon
        high, wide = height * rng.uniform(0.05, 0.4), width * rng.uniform(0.02, 0.2)
        x, foot = rng.uniform(-0.1, 1) * width, float(np.median(line)) + height * rng.uniform(-0.05, 0.2)
        box = [
            int(np.clip(n, 0, limit))
            for n, limit in ((foot - high, height), (foot, height), (x, width), (x + wide, width))
        ]
        if box[1] - box[0] < 8 or box[3] - box[2] < 8:
            continue
        thing = surface(
            rng, (box[1] - box[0], box[3] - box[2]), palette(rng, 4, colours if rng.random() < 0.6 else None)
        )
        shape = (
            blob(rng, thing.shape[:2], rng.uniform(0, 0.3)) if rng.random() < 0.6 else np.ones(thing.shape[:2], bool)
        )
        image[box[0] : box[1], box[2] : box[3]][shape] = thing[shape]
    return image


def blob(rng: Rng, size: Size, rough: float) -> Array:
    """(H, W) bool: a round shape that fills its box, its edge roughened."""
    height, width = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle, edge = np.arctan2(y, x), np.full(size, 0.9)
    for k in range(2, 9):
        edge += rough * rng.normal() / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(x, y) < np.clip(edge, 0.2, 1))


def _unseen_surface(rng: Rng, size: Size, colours: Array) -> Array:
    """(H, W, 3) uint8: marble, cells, bricks, a ramp, or speckles."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    one, two, three = colours[rng.integers(0, len(colours), 3)]
    kind = rng.choice(["marble", "cells", "bricks", "ramp", "speckles"])
    if kind == "marble":
        turn, period = rng.uniform(0, np.pi), rng.uniform(10, 120)
        bent = (x * np.cos(turn) + y * np.sin(turn)) / period + rng.uniform(0.5, 4) * fractal(rng, size, 1.7)
        image = tinted(1.8 * np.sin(bent), colours)
    elif kind == "cells":
        count = int(np.clip(height * width / rng.uniform(60, 3000), 3, 3000))
        seeds = np.ones(size, np.uint8)
        seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
        far, cell = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        shades = colours[rng.integers(0, len(colours), count + 2)] + rng.normal(0, 18, (count + 2, 3))
        image = shades[cell] * (1 - 0.02 * np.minimum(far, 20))[..., None]
    elif kind == "bricks":
        high, wide, gap = rng.uniform(5, 30), rng.uniform(10, 70), rng.uniform(0.05, 0.25)
        row = np.floor(y / high)
        across = x / wide + 0.5 * (row % 2)
        shades = one + rng.normal(0, 20, (64, 3))
        image = shades[(7 * row + 13 * np.floor(across)).astype(int) % 64]
        image[(y / high % 1 < gap) | (across % 1 < gap * high / wide)] = two
    elif kind == "ramp":
        turn = rng.uniform(0, 2 * np.pi)
        along = ((x / width - 0.5) * np.cos(turn) + (y / height - 0.5) * np.sin(turn) + 0.5)[..., None]
        image = one + (two - one) * along
    else:
        side = int(rng.integers(2, 8))
        grid = rng.integers(0, 3, (-(-height // side), -(-width // side)))
        image = np.stack([one, two, three])[np.kron(grid, np.ones((side, side), int))[:height, :width]]
    image = image + rng.uniform(0, 6) * rng.standard_normal((*size, 1), np.float32)
    return np.asarray(np.clip(image, 0, 255), np.uint8)
