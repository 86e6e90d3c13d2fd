"""The config's checkpoint, device and precision become a point model, or one sentence that says what is wrong."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from tracker.small_pips import clip, network, query

from nodes.tracker.backends import make_model
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.checkpoint import load_pips
from stream.errors import CheckpointError, ConfigError
from stream.settings.config import Tracker
from stream.weights import devices
from tools.goldens.weights import pips_weights


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file as the official one: weights and, beside them, what the optimizer kept."""
    file = tmp_path_factory.mktemp("reference_model") / "model-000200000.pth"
    torch.save({"model_state_dict": pips_weights(0), "optimizer_state_dict": {"state": {}, "param_groups": []}}, file)
    return file


def asking(checkpoint, **keys):
    return Tracker(backend="pips", checkpoint=str(checkpoint), **{"device": "cpu", **keys})


def test_the_config_gets_the_network_of_its_checkpoint(checkpoint):
    model = make_model(asking(checkpoint, size="64x96"))
    assert isinstance(model, PipsModel)
    window = [model.encode(frame) for frame in clip(2)]
    theirs = PipsModel(network(), (64, 96))
    expected = theirs.track(window, query(theirs, window[0], [[30, 30]]), None)
    np.testing.assert_array_equal(model.track(window, query(model, window[0], [[30, 30]]), None).xy, expected.xy)


def test_a_folder_stands_for_its_largest_step(checkpoint, tmp_path):
    for name in ("model-000000005.pth", "model-000000040.pth", "model-best.pth"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model-000000040\.pth is empty"):
        make_model(asking(tmp_path))
    assert len(load_pips(checkpoint.parent).state_dict()) == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fnet.conv1.weight": None}, r"of 200 tensors 1 \(fnet\.conv1\.weight\) is missing"),
        ({"fnet.conv9.weight": torch.zeros(1)}, r"1 \(fnet\.conv9\.weight\) is not known"),
        ({"vis_predictor.0.weight": torch.zeros(2, 128)}, r"has the shape \(2, 128\), pips needs \(1, 128\)"),
    ],
)
def test_weights_that_are_not_quite_those_of_pips_are_refused(tmp_path, change, says):
    weights = {k: v for k, v in {**pips_weights(0), **change}.items() if v is not None}
    torch.save({"model_state_dict": weights}, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=says):
        load_pips(tmp_path / "weights.pth")


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"no model-STEP\.pth in this folder; `python tools/fetch_weights\.py pips`"
    ):
        make_model(asking(tmp_path))


def test_weights_that_were_never_fetched_are_an_error_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for named in ("", tmp_path / "nowhere.pth"):
        with pytest.raises(CheckpointError, match=r"python tools/fetch_weights\.py pips"):
            make_model(asking(named))


def test_a_gpu_that_is_not_there_is_refused(checkpoint, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"tracker\.device is cuda:1, and PyTorch finds no GPU"):
        make_model(asking(checkpoint, device="cuda:1"))
    assert devices.choose_device("tracker.device", "auto") == torch.device("cpu")


def test_auto_takes_a_gpu_and_one_too_many_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose_device("tracker.device", "auto").type == "cuda"
    assert devices.choose_device("tracker.device", "cuda:1").index == 1
    with pytest.raises(ConfigError, match="take cuda:0 to cuda:1"):
        devices.choose_device("tracker.device", "cuda:2")


def test_float16_without_a_gpu_is_refused(checkpoint):
    with pytest.raises(ConfigError, match=r"tracker\.precision is float16, which needs a GPU"):
        make_model(asking(checkpoint, precision="float16"))


@pytest.mark.parametrize(("able", "warnings"), [(False, 1), (True, 0)])
def test_bfloat16_on_a_cpu_without_it_is_told_once(checkpoint, monkeypatch, caplog, able, warnings):
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: able)
    with caplog.at_level(logging.WARNING):
        model = make_model(asking(checkpoint, precision="bfloat16"))
    assert [r.getMessage().split(" is ")[0] for r in caplog.records] == ["tracker.precision"] * warnings
    assert model.network.delta_block.to_delta["3"][1].fn["0"].weight.dtype == torch.bfloat16
    assert model.network.delta_block.to_delta["15"].weight.dtype == torch.float32
