"""The inner loops of `lite`, compiled once by numba and kept on disk: arrays in, arrays out, no state.

Everything here would take numpy three to twenty times as long. Signatures are written out, so that compiling happens
when this package is first imported and never in the middle of a feed. Loops that call each other share a file, with
their constants: numba uses the loop that it cached until the loop's own file changes.
"""

from __future__ import annotations

from nodes.decoder.lite.kernels.colours import BINS, COLOURS, slice_four, slice_two, splat, split_codes
from nodes.decoder.lite.kernels.distances import geodesic_distance
from nodes.decoder.lite.kernels.layers import run_network
from nodes.decoder.lite.kernels.motion_cues import compare_motion
from nodes.decoder.lite.kernels.sharpening import enlarge, fit_slopes, multiply_colours
from nodes.decoder.lite.kernels.smoothing import smooth
from nodes.decoder.lite.kernels.target_model import weigh_rectified

__all__ = [
    "BINS",
    "COLOURS",
    "compare_motion",
    "enlarge",
    "fit_slopes",
    "geodesic_distance",
    "multiply_colours",
    "run_network",
    "slice_four",
    "slice_two",
    "smooth",
    "splat",
    "split_codes",
    "weigh_rectified",
]
