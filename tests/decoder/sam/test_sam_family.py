"""The networks that are not SAM's ViT, what is published of each, and how their packages are imported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from decoder.small_networks import CPU, prompts_of, small_network
from running import ROOT

from nodes.decoder.sam.model_registry import MODELS, build_network, published_name
from nodes.decoder.sam.network import Sam, load_sam
from nodes.decoder.sam.tiny_vit import TinyEncoder
from stream.errors import CheckpointError
from stream.weights import torchvision_ops
from stream.weights.published import PUBLISHED
from tools.goldens.sam_weights import sam_weights

NETWORKS = [(backend, model) for backend, models in MODELS.items() for model in models]


def test_tiny_vit_computes_what_the_package_computes():
    network = small_network("tiny").image_encoder
    image = torch.randn(1, 3, 1024, 1024)
    expected, (early_expected,) = network(image)
    features, early = TinyEncoder(network, 1024)(image)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(early, early_expected, atol=1e-4, rtol=1e-4)


def test_tiny_vit_takes_a_smaller_side():
    encoder = TinyEncoder(small_network("tiny").image_encoder, 320)
    features, early = encoder(torch.randn(1, 3, 320, 320))
    assert features.shape == (1, 256, 20, 20)
    assert early.shape == (1, 20, 20, 32)


@pytest.mark.parametrize("backend", ["mobile_sam", "hq_sam"])
def test_a_tiny_checkpoint_is_loaded_with_its_attention_biases(backend, tmp_path):
    path = tmp_path / "tiny.pth"
    tensors = sam_weights(1, backend, "vit_tiny")
    torch.save(tensors, path)
    sam = load_sam(backend, "vit_tiny", path, "cpu", side=256)
    own = sam.encoder.layers[1].blocks[0].attn.bias
    assert own.flatten()[0] == tensors["image_encoder.layers.1.blocks.0.attn.attention_biases"].flatten()[0]
    embedding = sam.encode(np.zeros((90, 160, 3), np.uint8))
    answer = sam.predict(embedding, prompts_of([([(80.0, 45.0, 1)], None, None)]))
    assert sam.upscale(answer.low_res, embedding).shape == (1, 90, 160)


def test_a_tensor_too_many_is_refused(tmp_path):
    path = tmp_path / "mobile_sam.pt"
    torch.save(sam_weights(0, "mobile_sam", "vit_tiny") | {"image_encoder.more": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"1 \(image_encoder.more\) is not known"):
        load_sam("mobile_sam", "vit_tiny", path, "cpu")


@pytest.mark.parametrize(("backend", "model"), NETWORKS)
def test_a_network_has_as_many_bytes_as_its_published_file(backend, model):
    tensors = build_network(backend, model).state_dict().values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    published = PUBLISHED[published_name(backend, model)].size
    assert size < published < size + 1000 * len(tensors)  # a name and a place in the archive for each tensor


def test_hq_sam_keeps_what_it_needs_of_early_features_with_the_embedding():
    sam = Sam(small_network("hq_sam"), CPU, side=256)
    features, fine = sam.encode(np.zeros((90, 160, 3), np.uint8)).features
    assert features.shape == (1, 32, 16, 16)
    assert fine.shape == (64, 64, 4)


def test_the_packages_are_imported_without_a_warning_beside_any_torch():
    check = (
        "from stream.weights.torchvision_ops import import_quietly, prepare_torchvision\n"
        "own = prepare_torchvision()\n"
        "assert prepare_torchvision() == own\n"
        "for name in ('segment_anything', 'segment_anything_hq'): import_quietly(name)\n"
        "import torch, torchvision\n"
        "assert hasattr(torch.ops.torchvision, 'nms')\n"
        "import timm\n"
    )
    command = [sys.executable, "-W", "error", "-c", check]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_operators_that_load_are_left_alone(monkeypatch):
    monkeypatch.setattr(torchvision_ops, "_declared", [])
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torchvision_ops, "_load_operators", lambda: True)
    assert torchvision_ops.prepare_torchvision()
    assert torchvision_ops._declared == []
