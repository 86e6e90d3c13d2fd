"""The point model that the config asks for; its package is imported here and nowhere before."""

from __future__ import annotations

from nodes.tracker.point_model import PointModel
from stream.errors import ConfigError
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.shared_models import SharedModels
from stream.settings.config import Tracker
from stream.settings.options import POINT_BACKENDS


def make_client(config: Tracker, camera: str, models: SharedModels | None) -> CameraClient | None:
    """What a camera asks a shared model by; None where it has a model of its own."""
    if models is None or config.backend != "pips":
        return None
    from stream.weights.devices import choose_device

    device = str(choose_device("tracker.device", config.device))
    return CameraClient(models.device(device), camera, "tracker", must_serve=True)


def make_model(config: Tracker, models: SharedModels | None = None, client: CameraClient | None = None) -> PointModel:
    """The backend named by `tracker.backend`; ConfigError where a package that it needs is not installed.

    With a client of a shared model: one that asks that one, of which `models` has a single copy.
    """
    try:
        return _make(config, models, client)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("nodes", "stream"):
            raise
        raise ConfigError(
            f"tracker.backend is {config.backend}, which needs the package {error.name}: "
            f"`pip install -r {POINT_BACKENDS[config.backend].requirements}` brings it"
        ) from None


def _make(config: Tracker, models: SharedModels | None, client: CameraClient | None) -> PointModel:
    match config.backend:
        case "pips":
            from nodes.tracker.pips.backend import checkpoint_path, make_pips
            from nodes.tracker.pips.shared_model import SharedPips

            if models is None or client is None:
                return make_pips(config)
            what = ("pips", checkpoint_path(config), config.device, config.precision, config.size)
            return SharedPips(models.load(what, lambda: make_pips(config)), what, client)
        case "raft":
            from nodes.tracker.raft.backend import make_raft

            return make_raft(config)
        case "tapnet":
            from nodes.tracker.tapnet.backend import make_tapnet

            return make_tapnet(config)
        case "superglue":
            from nodes.tracker.superglue.backend import make_superglue

            return make_superglue(config)
        case "lightglue":
            from nodes.tracker.lightglue.backend import make_lightglue

            return make_lightglue(config)
        case "lucas_kanade":
            from nodes.tracker.lucas_kanade import LucasKanade

            return LucasKanade(forward_backward_px=config.forward_backward_px)
