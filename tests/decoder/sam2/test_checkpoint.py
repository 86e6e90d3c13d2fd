"""Weights of SAM 2.1 and EdgeTAM: what is read, what is refused, and that no connection is opened."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from running import ROOT
from safetensors.torch import save_file

from nodes.decoder.sam2.checkpoint import load_network
from nodes.decoder.sam2.model_registry import HIERA, build_network, build_video_network
from stream.errors import CheckpointError
from stream.weights import published
from tools.goldens.sam2_weights import sam2_weights

EDGETAM = ("edgetam", "")


@pytest.fixture(scope="module")
def tensors():
    """Those of EdgeTAM, the smallest."""
    return sam2_weights(1, *EDGETAM)


def same(network, tensors):
    own = network.state_dict()
    return all(torch.equal(own[name], tensor) for name, tensor in tensors.items())


def test_what_the_package_writes_is_read_from_its_folder(tensors, tmp_path):
    network = build_network(*EDGETAM)
    network.load_state_dict(tensors, assign=True)
    network.save_pretrained(tmp_path)
    file = published.find("edgetam", str(tmp_path))
    assert file.name == "model.safetensors"
    assert same(load_network(*EDGETAM, file), tensors)
    with pytest.raises(CheckpointError, match=r"no edgetam\.pt or model\.safetensors in the folder"):
        published.find("edgetam", str(tmp_path.parent))


@pytest.mark.parametrize(("backend", "model"), [("sam2", "tiny"), EDGETAM])
def test_the_memory_of_a_video_network_is_left_out(backend, model, tmp_path):
    whole = sam2_weights(2, backend, model, video=True)
    save_file(whole, tmp_path / "model.safetensors")
    network = load_network(backend, model, tmp_path / "model.safetensors")
    assert same(network, {name: whole[name] for name in network.state_dict()})


def damaged(kind, tensors):
    if kind == "missing":
        return {name: t for name, t in tensors.items() if name != "no_memory_embedding"}
    if kind == "left":
        return tensors | {"mask_decoder.more": torch.zeros(1)}
    return tensors | {"no_memory_embedding": torch.zeros(1, 1, 255)}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"1 \(no_memory_embedding\) is missing, and 0 are not known"),
        ("left", r"0 are missing, and 1 \(mask_decoder\.more\) is not known"),
        ("misshapen", r"no_memory_embedding has the shape \(1, 1, 255\), edgetam needs \(1, 1, 256\)"),
    ],
)
def test_nothing_may_be_missing_left_or_misshapen(kind, message, tensors, tmp_path):
    save_file(damaged(kind, tensors), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_network(*EDGETAM, tmp_path / "model.safetensors")


class Call:
    """What a pickle with code in it holds."""

    def __reduce__(self):
        return os.mkdir, ("was-run",)


def write_bad(kind, path, tensors):
    if kind == "code":
        torch.save({"model": Call()}, path)
    elif kind == "page":
        path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    elif kind == "truncated":
        save_file(tensors, path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif kind == "truncated pt":
        torch.save(tensors, path)
        path.write_bytes(path.read_bytes()[:1_000_000])
    elif kind == "header":
        path.write_bytes((2).to_bytes(8, "little") + b"{" + b"x" * 99)
    else:
        torch.save({"image_encoder.pos_embed": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("code", "holds more than tensors: it calls for .*mkdir.* none of it was run"),
        ("page", "is a web page"),
        ("truncated", "cut short, damaged, or no checkpoint"),
        ("truncated pt", "cut short, damaged, or no checkpoint"),
        ("header", "cut short, damaged, or no checkpoint"),
        ("another", "holds other weights than edgetam"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_and_runs_no_code(kind, message, tensors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bad(kind, tmp_path / "edgetam.pt", tensors)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_network(*EDGETAM, tmp_path / "edgetam.pt")
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 3
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize("model", [pytest.param(m, marks=pytest.mark.slow) if m == "large" else m for m in HIERA])
def test_a_network_has_as_many_bytes_as_its_published_file(model):
    with torch.device("meta"):
        tensors = build_video_network("sam2", model).state_dict().values()
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    assert size < published.PUBLISHED[f"sam2_{model}"].size < size + 1000 * len(tensors)


def test_no_connection_is_opened_from_import_to_mask(tensors, tmp_path):
    torch.save(tensors, tmp_path / "edgetam.pt")
    check = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise SystemExit(f'{event} {args}')\n"
        "sys.addaudithook(hook)\n"
        "import numpy as np\n"
        "from nodes.decoder.backends import make_model\n"
        "from stream.settings.config import Decoder\n"
        f"model = make_model(Decoder(backend='edgetam', checkpoint={str(tmp_path)!r}, device='cpu', side=256))\n"
        "model.encode(np.zeros((90, 160, 3), np.uint8))\n"
        "import huggingface_hub.constants as c; print(c.HF_HUB_OFFLINE)\n"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_a_missing_package_is_named_with_the_file_that_brings_it(monkeypatch):
    from nodes.decoder.backends import make_model
    from nodes.decoder.sam2 import model_registry
    from stream.errors import ConfigError
    from stream.settings.config import Decoder

    monkeypatch.setattr(model_registry, "PACKAGE", "transformers_that_is_not_there")
    monkeypatch.setattr(published, "find", lambda name, explicit: ROOT)
    with pytest.raises(ConfigError, match=r"needs the package transformers_that.*requirements-sam2\.txt"):
        make_model(Decoder(backend="sam2", model="tiny", device="cpu"))


def test_metas_names_become_the_packages(tensors):
    from nodes.decoder.sam2.checkpoint import RENAMED, package_name

    for theirs, ours in (
        ("image_encoder.trunk.blocks.3.mlp.layers.1.bias", "vision_encoder.backbone.blocks.3.mlp.proj_out.bias"),
        ("image_encoder.trunk.body.stem.conv1.c.weight", "vision_encoder.backbone.timm_model.stem.conv1.c.weight"),
        (
            "sam_mask_decoder.output_hypernetworks_mlps.2.layers.2.weight",
            "mask_decoder.output_hypernetworks_mlps.2.proj_out.weight",
        ),
        ("memory_encoder.mask_downsampler.encoder.12.bias", "memory_encoder.mask_downsampler.final_conv.bias"),
    ):
        assert package_name(theirs, RENAMED) == ours
    assert np.isfinite(float(tensors["no_memory_embedding"].sum()))
