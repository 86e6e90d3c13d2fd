"""The point model that the config asks for; its package is imported here and nowhere before."""

from __future__ import annotations

from nodes.tracker.point_model import PointModel
from stream.errors import ConfigError
from stream.settings.config import Tracker


def make_model(config: Tracker) -> PointModel:
    """The backend named by `tracker.backend`; ConfigError where a package that it needs is not installed."""
    try:
        return _make(config)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("nodes", "stream"):
            raise
        raise ConfigError(
            f"tracker.backend is {config.backend}, which needs the package {error.name}: "
            "`pip install -r requirements.txt` brings it"
        ) from None


def _make(config: Tracker) -> PointModel:
    match config.backend:
        case "pips":
            from nodes.tracker.pips.backend import make_pips

            return make_pips(config)
        case "raft":
            from nodes.tracker.raft.backend import make_raft

            return make_raft(config)
        case "tapnet":
            from nodes.tracker.tapnet.backend import make_tapnet

            return make_tapnet(config)
        case "lucas_kanade":
            from nodes.tracker.lucas_kanade import LucasKanade

            return LucasKanade(forward_backward_px=config.forward_backward_px)
