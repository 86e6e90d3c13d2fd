"""A random generator in, one shaded and textured picture out: what the demo scene is made of."""

from __future__ import annotations

import cv2
import numpy as np

from stream.arrays import Array

LIGHT = np.array([-0.52, -0.58, 0.63])  # towards the light: from the upper left, in front of the picture
AMBIENT = 0.34  # light in the shade, so that an object's dark side still stands out from the sky

SKY = ((9, 11, 30), (18, 22, 56), (33, 37, 92), (62, 52, 128), (124, 72, 146), (196, 112, 142))
PLANET = ((120, 52, 30), (196, 96, 46), (238, 168, 92), (250, 218, 164), (214, 120, 60), (246, 196, 128))
STAR = ((6, 92, 104), (16, 142, 140), (66, 196, 172), (150, 232, 200))
ROCK = ((92, 40, 66), (158, 70, 96), (206, 112, 128), (240, 178, 176))
CREAM = np.array((255, 244, 214), np.float64)


def noise(rng: np.random.Generator, size: tuple[int, int], cells: float, octaves: int = 4) -> Array:
    """(H, W) float64 smooth noise over 0..1; `cells` bumps across the shorter side in its coarsest octave."""
    height, width = size
    total = np.zeros(size)
    for octave in range(octaves):
        step = min(size) / (cells * 2**octave)
        grid = rng.random((int(height / step) + 3, int(width / step) + 3)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2.0**octave
    low, high = np.percentile(total, (1, 99))  # cubic steps overshoot, and a lone peak would flatten the rest
    levels: Array = np.clip((total - low) / (high - low), 0, 1)
    return levels


def tint(values: Array, palette: tuple[tuple[int, int, int], ...]) -> Array:
    """(H, W, 3) float64: the palette's colours, evenly spread over values 0..1 and blended between."""
    stops = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(values, stops, [p[c] for p in palette]) for c in range(3)], axis=-1)


def grid(side: int) -> tuple[Array, Array]:
    """x and y of each pixel, (side, side) float64, -1..1 from edge to edge."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, axis)
    return x, y


def lit(normals: Array, shine: float) -> tuple[Array, Array]:
    """How bright a surface (H, W, 3 unit normals) is, 0..1, and its highlight, 0..1; both (H, W)."""
    facing = np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    return AMBIENT + (1 - AMBIENT) * facing, shine * facing**24


def relief(height: Array, depth: float) -> Array:
    """Unit normals (H, W, 3) of a surface whose height (H, W) is given in half sides."""
    side = height.shape[0]
    dy, dx = np.gradient(height * depth * side / 2)
    normals = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
    unit: Array = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
    return unit


def finish(colour: Array, light: Array, highlight: Array, alpha: Array) -> Array:
    """(H, W, 4) uint8 sprite; RGB is multiplied by alpha, so that warping it leaves no fringe."""
    rgb = np.clip(colour * light[..., None] + 255 * highlight[..., None], 0, 255) * alpha[..., None]
    sprite: Array = np.rint(np.dstack([rgb, 255 * alpha])).astype(np.uint8)
    return sprite


def night_sky(rng: np.random.Generator, size: tuple[int, int], zoom: float) -> Array:
    """(H, W, 3) uint8: coloured dust and stars; `zoom` is the size of a star."""
    dust = noise(rng, size, 1.6, 6) ** 1.5
    veil = noise(rng, size, 2.5, 5)
    sky = tint(np.clip(0.75 * dust + 0.3 * veil**2, 0, 1), SKY)
    glow = np.zeros(size, np.float32)
    for count, radius, peak in ((420, 0.7, 1.0), (110, 1.2, 1.6), (26, 2.1, 2.6)):
        points = np.zeros(size, np.float32)
        n = round(count * size[0] * size[1] / (446 * 794 * zoom**2))
        points[rng.integers(0, size[0], n), rng.integers(0, size[1], n)] = rng.uniform(0.35, 1, n)
        sigma = max(0.6, radius * zoom)
        glow += cv2.GaussianBlur(points, (0, 0), sigma) * (peak * blur_gain(sigma))
    sky += np.minimum(glow, 1)[..., None] * (CREAM - 40)
    rgb: Array = np.rint(np.clip(sky, 0, 255)).astype(np.uint8)
    return rgb


def blur_gain(sigma: float) -> float:
    """What a blurred point must be multiplied by to keep its peak."""
    return float(2 * np.pi * sigma * sigma)


def planet(rng: np.random.Generator, side: int) -> Array:
    """(side, side, 4) uint8 sprite: a ball with turbulent bands and a great spot."""
    x, y = grid(side)
    edge = np.hypot(x, y)
    rim = 0.985
    z = np.sqrt(np.clip(1 - (edge / rim) ** 2, 0, 1))
    latitude, longitude = y * 0.94 + x * 0.34, x * 0.94 - y * 0.34  # the axis leans
    stretch = np.arcsin(np.clip(latitude, -1, 1))
    swirl = noise(rng, (side, side), 3, 4) - 0.5
    fine = noise(rng, (side, side), 12, 3) - 0.5
    bands = 0.5 + 0.5 * np.sin(9.5 * stretch + 2.1 * swirl + rng.uniform(0, 1))
    spot = np.hypot((longitude - 0.22) / 0.30, (latitude - 0.30) / 0.17)
    bands = np.where(spot < 1.25, bands * np.clip(spot - 0.25, 0, 1) ** 2, bands)
    colour = tint(np.clip(bands * 0.85 + 0.08 + 0.34 * fine, 0, 1), PLANET)
    light, highlight = lit(np.stack([x / rim, y / rim, z], axis=-1), shine=0.10)
    alpha = np.clip((rim - edge) * side / 2 + 0.5, 0, 1)
    return finish(colour, light * (0.72 + 0.28 * z), highlight, alpha)


def outline(radius: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Alpha (0..1, one pixel soft) and depth below the edge (0..1) of the shape whose edge lies at `radius`."""
    inside = (np.hypot(x, y) < radius).astype(np.uint8)
    side = inside.shape[0]
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5).astype(np.float64)  # px
    alpha = np.clip(cv2.GaussianBlur(inside.astype(np.float64), (0, 0), 0.7), 0, 1)
    return alpha, np.clip(distance / (side * 0.22), 0, 1)


def star(rng: np.random.Generator, side: int) -> Array:
    """(side, side, 4) uint8 sprite: a plump five-armed star with cream spots."""
    x, y = grid(side)
    angle, edge = np.arctan2(y, x), np.hypot(x, y)
    alpha, depth = outline(0.76 + 0.19 * np.cos(5 * angle + 0.4), x, y)
    cloud = noise(rng, (side, side), 5, 4)
    colour = tint(np.clip(0.62 * cloud + 0.5 * depth - 0.12, 0, 1), STAR)
    arm = np.round((angle + 0.08) / (2 * np.pi / 5)) * (2 * np.pi / 5) - 0.08  # of the nearest arm
    for distance, size in ((0.34, 0.085), (0.56, 0.06), (0.72, 0.04)):
        spot = np.hypot(x - distance * np.cos(arm), y - distance * np.sin(arm))
        colour += (np.clip((size - spot) * side / 4, 0, 1) * 0.9)[..., None] * (CREAM - colour)
    ring = np.clip((0.035 - np.abs(edge - 0.16)) * side / 4, 0, 1) * 0.85
    colour += ring[..., None] * (CREAM - colour)
    dome = np.sqrt(1 - (1 - depth) ** 2)
    dome = cv2.GaussianBlur(dome, (0, 0), max(0.8, side / 40)) + 0.02 * cloud
    light, highlight = lit(relief(dome, 0.34), shine=0.30)
    return finish(colour, 0.14 + light * 1.08, highlight, alpha)


def rock(rng: np.random.Generator, side: int) -> Array:
    """(side, side, 4) uint8 sprite: a lumpy rock with craters."""
    x, y = grid(side)
    angle = np.arctan2(y, x)
    radius = np.full_like(x, 0.83)
    for k, size in ((2, 0.075), (3, 0.05), (5, 0.025)):
        radius += size * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    alpha, depth = outline(np.minimum(radius, 0.96), x, y)
    cloud = noise(rng, (side, side), 4, 5)
    height = np.sqrt(1 - (1 - depth) ** 2) * 0.9 + 0.22 * cloud
    hollow = np.zeros_like(x)
    for _ in range(11):
        size, reach, towards = rng.uniform(0.09, 0.24), np.sqrt(rng.uniform(0, 0.55)), rng.uniform(0, 2 * np.pi)
        d = np.hypot(x - reach * np.cos(towards), y - reach * np.sin(towards)) / size
        hollow += np.where(d < 1, d**2 - 1, 0) * size * 1.5 + 0.35 * size * np.exp(-((d - 1.1) ** 2) * 18)
    height = cv2.GaussianBlur(height + hollow, (0, 0), max(0.7, side / 90))
    colour = tint(np.clip(0.25 + 0.6 * cloud + 0.9 * hollow, 0, 1), ROCK)
    light, highlight = lit(relief(height, 0.5), shine=0.06)
    return finish(colour, 0.1 + light * 1.1, highlight, alpha)
