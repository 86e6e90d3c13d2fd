"""The point model that the config asks for; its package is imported here and nowhere before."""

from __future__ import annotations

import os

from nodes.tracker.model import PointModel
from stream.config import Tracker


def make_model(config: Tracker) -> PointModel:
    """The backend named by `tracker.backend`."""
    if config.backend == "pips":
        # The threads of a matrix product wait for each other some thousand times a second. Spinning, as they do unless
        # told otherwise before torch is loaded, they keep the very core that the one they wait for needs: with other
        # nodes busy on two cores a window of 9 points took 12 s, and 1.5 s with threads that sleep while they wait.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        from nodes.tracker.pips import make_pips

        return make_pips(config)
    from nodes.tracker.lucas_kanade import LucasKanade

    return LucasKanade(forward_backward_px=config.forward_backward_px)
