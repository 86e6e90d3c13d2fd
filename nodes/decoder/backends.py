"""The mask model that the config asks for; its packages are imported here and nowhere before."""

from __future__ import annotations

from collections.abc import Callable

from nodes.decoder.mask_model import Embedding, MaskModel
from nodes.decoder.object_discovery import BeginSearch, ObjectSearch
from nodes.decoder.sam.protocol import SamNetwork
from stream.arrays import Array
from stream.errors import ConfigError
from stream.messages import Frame
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.shared_models import SharedModels
from stream.settings.config import Decoder
from stream.settings.options import MASK_BACKENDS
from stream.weights import published

SAM2 = ("sam2", "edgetam")  # what nodes/decoder/sam2 holds


def make_client(config: Decoder, camera: str, models: SharedModels | None) -> CameraClient | None:
    """What a camera asks a shared model by; None where it has a model of its own, as a light one always is."""
    if models is None or config.backend == "lite":
        return None
    from stream.weights.devices import choose_device

    return CameraClient(models.device(str(choose_device("decoder.device", config.device))), camera, "decoder")


def make_model(config: Decoder, models: SharedModels | None = None, client: CameraClient | None = None) -> MaskModel:
    """The backend named by `decoder.backend`.

    With a client of a shared model: one that asks that one, of which `models` has a single copy. CheckpointError where
    its weights are not there, or not its own; ConfigError where a package of it is missing.
    """
    if config.backend == "lite":
        from nodes.decoder.lite.backend import Lite

        return Lite() if config.window_px == "auto" else Lite(config.window_px)
    try:
        return _sam_pt(config, models, client)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("nodes", "stream"):
            raise
        requirements = "requirements-sam2.txt" if config.backend in SAM2 else "requirements.txt"
        raise ConfigError(
            f"decoder.backend is {config.backend}, which needs the package {error.name}: "
            f"`pip install -r {requirements} -c constraints.txt` brings it"
        ) from None


def _sam_pt(config: Decoder, models: SharedModels | None, client: CameraClient | None) -> MaskModel:
    """SAM-PT's mask model on the network of the SAM family that the config names."""
    from nodes.decoder.sam.network import Sam, load_sam
    from nodes.decoder.sam.sam_pt import SamPt
    from nodes.decoder.sam.shared_network import SharedSam

    load: Callable[..., Sam] = load_sam
    if config.backend in SAM2:
        from nodes.decoder.sam2.network import load_sam2

        load = load_sam2
    weights = MASK_BACKENDS[config.backend].weights.format(model=config.model)
    what = (
        config.backend,
        config.model,
        published.find(weights, config.checkpoint),
        config.device,
        config.precision,
        config.side,
        config.compile,
    )
    network: SamNetwork
    if models is None or client is None:
        network = load(*what)
    else:
        network = SharedSam(models.load(what, lambda: load(*what)), what, client)
    return SamPt(
        network,
        refinement_passes=config.refinement_passes,
        iou_threshold=config.iou_threshold,
        others_as_negatives=config.others_as_negatives,
        max_others=config.max_others or None,
    )


def make_object_search(config: Decoder, model: MaskModel, encode: Callable[[Frame], Embedding]) -> BeginSearch:
    """What begins a search for objects on a frame by `model`, which belongs to the SAM family."""

    def begin(frame: Frame, covered: Array | None, most: int) -> ObjectSearch:
        from nodes.decoder.sam.automatic_masks import GeneratorRules, MaskGenerator
        from nodes.decoder.sam.sam_pt import SamPt

        assert isinstance(model, SamPt), "other mask models have no discovery (stream/settings/options.py)"
        rules = GeneratorRules(config.auto_side, config.auto_iou, config.auto_stability, min_area_px=config.min_area_px)
        return MaskGenerator(model.network, lambda: encode(frame), covered, most, rules)

    return begin
