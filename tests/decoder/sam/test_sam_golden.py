"""SAM ViT-B with the weights of the goldens: what another implementation made of a real frame."""

from __future__ import annotations

import numpy as np
import pytest

from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden
from tools.goldens.sam_weights import find_sam


@pytest.fixture(scope="module")
def numbers(golden):
    """The golden numbers of a real frame."""
    return Golden(golden / "sam_frame_dog.npz")


@pytest.fixture(scope="module")
def sam(golden):
    """Our SAM."""
    return find_sam(Weights(golden, seed=0))


def test_the_embedding_of_a_real_frame_is_the_golden_one(numbers, sam):
    embedding = sam.encode(numbers["frame_480x854"])  # the one encode of the suite at full size
    features = embedding.features[0][0].numpy()
    assert embedding.input_size == (576, 1024)
    np.testing.assert_allclose(features[::8, ::4, ::4], numbers["embedding_sub"], atol=1e-4)
    np.testing.assert_allclose(features.mean(axis=(1, 2)), numbers["embedding_mean"], atol=1e-4)
    np.testing.assert_allclose(features.std(axis=(1, 2), ddof=1), numbers["embedding_std"], atol=1e-4)


def test_the_frame_is_resized_to_the_level(numbers, sam):
    image = sam.prepare(numbers["frame_480x854"])[:, :576:16, ::16] * sam.std + sam.mean
    np.testing.assert_allclose(image.permute(1, 2, 0).numpy(), numbers["frame_1024_sub"], atol=1e-3)
