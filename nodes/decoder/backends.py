"""The mask model that the config asks for; its packages are imported here and nowhere before."""

from __future__ import annotations

from collections.abc import Callable

from nodes.decoder.mask_model import Embedding, MaskModel
from nodes.decoder.object_discovery import BeginSearch, ObjectSearch
from stream.arrays import Array
from stream.messages import Frame
from stream.settings.config import Decoder


def make_model(config: Decoder) -> MaskModel:
    """The backend named by `decoder.backend`; CheckpointError where its weights are not there, or not its own."""
    if config.backend == "lite":
        from nodes.decoder.lite.backend import Lite

        return Lite()
    from nodes.decoder.sam.model_registry import published_name
    from nodes.decoder.sam.network import load_sam
    from nodes.decoder.sam.sam_pt import SamPt
    from stream.weights import published

    network = load_sam(
        config.backend,
        config.model,
        published.find(published_name(config.backend, config.model), config.checkpoint),
        config.device,
        config.precision,
        config.side,
        config.compile,
    )
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
