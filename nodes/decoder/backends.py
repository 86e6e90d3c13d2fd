"""The mask model that the config asks for; its package is imported here and nowhere before."""

from __future__ import annotations

from nodes.decoder.model import MaskModel
from stream.config import Decoder


def make_model(config: Decoder) -> MaskModel:
    """The backend named by `decoder.backend`."""
    from nodes.decoder.lite import Lite

    return Lite()
