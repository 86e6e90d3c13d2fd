"""The point model that the config asks for; its package is imported here and nowhere before."""

from __future__ import annotations

from nodes.tracker.point_model import PointModel
from stream.settings.config import Tracker


def make_model(config: Tracker) -> PointModel:
    """The backend named by `tracker.backend`."""
    if config.backend == "pips":
        from nodes.tracker.pips.backend import make_pips

        return make_pips(config)
    from nodes.tracker.lucas_kanade import LucasKanade

    return LucasKanade(forward_backward_px=config.forward_backward_px)
