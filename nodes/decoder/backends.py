"""The mask model that the config asks for; its packages are imported here and nowhere before."""

from __future__ import annotations

from collections.abc import Callable

from nodes.decoder.mask_model import Embedding, MaskModel
from nodes.decoder.object_discovery import Begin
from stream.messages import Frame
from stream.settings.config import Decoder


def make_model(config: Decoder) -> MaskModel:
    """The backend named by `decoder.backend`; CheckpointError where its weights are not there, or not its own."""
    if config.backend == "lite":
        from nodes.decoder.lite.backend import Lite

        return Lite()
    from nodes.decoder.sam.backend import load_sam
    from nodes.decoder.sam.networks import published_name
    from nodes.decoder.sam.sam_pt import SamPt
    from stream.weights import published

    backend = load_sam(
        config.backend,
        config.model,
        published.find(published_name(config.backend, config.model), config.checkpoint),
        config.device,
        config.precision,
        config.side,
        config.compile,
    )
    return SamPt(
        backend,
        refinement_passes=config.refinement_passes,
        iou_threshold=config.iou_threshold,
        others_as_negatives=config.others_as_negatives,
        max_others=config.max_others or None,
    )


def make_survey(config: Decoder, model: MaskModel, encode: Callable[[Frame], Embedding]) -> Begin:
    """What begins a search for objects on a frame by `model`, which is no lite one (`decoder.auto`)."""
    from nodes.decoder.sam.automatic_masks import Rules, Survey
    from nodes.decoder.sam.sam_pt import SamPt

    assert isinstance(model, SamPt), "the config has been checked"
    backend = model.backend
    rules = Rules(config.auto_side, config.auto_iou, config.auto_stability, min_area_px=config.min_area_px)
    return lambda frame, covered, most: Survey(backend, lambda: encode(frame), covered, most, rules)
