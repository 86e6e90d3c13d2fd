"""Our answer and the golden one in, a row of the table out: how far apart they are, and how far they may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike

from stream.arrays import Array
from stream.errors import ConfigError


@dataclass(frozen=True)
class Row:
    """One compared quantity."""

    quantity: str
    error: float  # the largest; inf for another shape, NaN for one that is none
    tolerance: float  # 0: equal

    @property
    def ok(self) -> bool:
        """Whether the error is within its tolerance; NaN never is."""
        return self.error <= self.tolerance


def on_host(values: ArrayLike) -> ArrayLike:
    """The same, for NumPy to read: a tensor of another device is copied here."""
    return values.cpu() if hasattr(values, "cpu") else values  # torch is not loaded for those who need none of it


def farthest(quantity: str, our_values: ArrayLike, golden_values: ArrayLike, tolerance: float) -> Row:
    """The largest difference of two arrays; infinities and NaN must be in the same places."""
    ours, theirs = np.asarray(on_host(our_values), np.float64), np.asarray(golden_values, np.float64)
    if ours.shape != theirs.shape:
        return Row(f"{quantity} {ours.shape}, golden {theirs.shape}", math.inf, tolerance)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    gaps = np.abs(np.subtract(ours, theirs, where=~same, out=np.zeros_like(ours)))
    return Row(quantity, float(gaps.max(initial=0.0)), tolerance)


def relative(quantity: str, our_value: float, golden_value: float, tolerance: float) -> Row:
    """The difference of two numbers as a share of the golden one."""
    return Row(
        quantity, abs(our_value - golden_value) / abs(golden_value) if golden_value else abs(our_value), tolerance
    )


def differing(quantity: str, our_values: ArrayLike, golden_values: ArrayLike) -> Row:
    """How many entries differ of two arrays that must be equal."""
    ours, theirs = np.asarray(on_host(our_values)), np.asarray(golden_values)
    if ours.shape != theirs.shape:
        return Row(f"{quantity} {ours.shape}, golden {theirs.shape}", math.inf, 0.0)
    return Row(quantity, float(np.count_nonzero(ours != theirs)), 0.0)


class Golden(Mapping[str, Array]):
    """The arrays of a golden file (.npz) by name; ConfigError when it is none, or lacks one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                self.arrays: dict[str, Array] = dict(file)
        except (OSError, ValueError, TypeError, EOFError, BadZipFile) as error:
            raise ConfigError(f"{path} is no .npz file of arrays ({error}); copy it again") from None

    def __getitem__(self, name: str) -> Array:
        if name not in self.arrays:
            raise ConfigError(f"{self.path} has no array {name!r}; it has {', '.join(self.arrays) or 'none'}")
        return self.arrays[name]

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)


def unpack(bits: Array, shape: tuple[int, ...]) -> Array:
    """(*shape) uint8 of 0 and 1, from numpy's packbits."""
    return np.unpackbits(bits, count=math.prod(shape)).reshape(shape)


def clip_of(path: Path, folder: Path) -> Array:
    """(T, H, W, 3) uint8: the frames that a golden file was made from, `clip_NAME_*.npz` beside it."""
    name = path.stem.rpartition("_")[2]
    clips = sorted(folder.glob("clip_*.npz"))
    own = [c for c in clips if c.name.startswith(f"clip_{name}_")] or clips
    if len(own) != 1:
        present = f"{folder} has {', '.join(c.name for c in clips)}" if clips else f"{folder} has no clip_*.npz"
        raise ConfigError(f"{path.name} needs the clip that it was made from, clip_{name}_*.npz, and {present}")
    return Golden(own[0])["frames"]
