"""What of fitting runs on the device: a step of the window network of `lite`, against the CPU; and what needs none.

Windows are drawn at random: fitting costs the same, whatever they show. The same weights and windows give the first
loss on both, which has to be the same one.
"""

from __future__ import annotations

import argparse
import copy
import importlib
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodes.decoder.lite.cues import NAMES
from stream.errors import StreamError
from tools.bench.decoder_runs import seconds
from tools.bench.gpu.parts import Measurement
from tools.bench.rows import Row, row
from tools.fitting.pixel_fitting import BATCH, Samples, fit_network

KIT = "tools.fitting.window_fitting"
NEEDED = ("WindowModel", "measure_loss", "CHANNELS", "RATE", "DECAY", "CLIP", "BATCH")
PIXEL_BATCHES = 8  # of an epoch of the pixel network
WINDOW = (128, 160)  # working px, (height, width): a usual one
LARGER = 8  # times the batch that is fitted with: what would fill a GPU
STEPS, QUICK_STEPS = 20, 2
FIRST_LOSS = 1e-3  # of the CPU's, how far the first loss may be from it in float32
PART = "window network"


@dataclass(frozen=True)
class Batch:
    """Windows: inputs (B, CHANNELS, H, W), truth and what counts (B, 1, H, W).

    The last channel of the inputs is the logit that the network corrects.
    """

    inputs: Tensor
    truth: Tensor
    counted: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(t.to(device) for t in (self.inputs, self.truth, self.counted)))


def measurements(options: argparse.Namespace, device: torch.device, profiles: dict[str, str]) -> list[Measurement]:
    """The window network on CPU and device; the pixel network, which NumPy fits."""
    return [
        Measurement("window network", partial(_windows, device, options.quick)),
        Measurement("pixel network", partial(_pixels, options.quick)),
    ]


def _pixels(quick: bool) -> list[Row]:
    """An epoch of the pixel network: it runs on no GPU, and need not."""
    count, rng = (2 if quick else PIXEL_BATCHES) * BATCH, np.random.default_rng(0)
    cues = rng.normal(size=(count, len(NAMES))).astype(np.float32)
    samples = Samples(cues, (cues[:, 0] > 0).astype(np.float32), np.ones(count, np.float32))
    began_s = perf_counter()
    fit_network(samples, epochs=1, seed=0)
    took_s = perf_counter() - began_s
    return [row("pixel network", f"an epoch of {count} pixels, NumPy on the CPU", "ms", [1e3 * took_s])]


def _windows(device: torch.device, quick: bool) -> list[Row]:
    """ms a step and windows/s on the CPU and on the device, and the first losses beside each other."""
    kit = training_kit()
    model = _model(kit)
    batch = draw_windows(kit, kit.BATCH, (32, 40) if quick else WINDOW)
    cpu = torch.device("cpu")
    exact = _first_loss(kit, model, batch, cpu)
    rows = [row(PART, "the first loss, CPU", "", [exact])]
    if device.type != "cpu":
        error = abs(_first_loss(kit, model, batch, device) - exact) / abs(exact)
        rows.append(row(PART, "the first loss on the device, float32", "of the CPU's", [error], at_most=FIRST_LOSS))
    steps = QUICK_STEPS if quick else STEPS
    for place in dict.fromkeys((cpu, device)):
        sizes = (1,) if place.type == "cpu" else (1, LARGER)
        for times in sizes:
            larger = batch if times == 1 else draw_windows(kit, times * kit.BATCH, WINDOW)
            for half in (False, True):
                rows += _steps(kit, model, larger, place, steps, half)
    return rows


def training_kit() -> Any:
    """The code that fits the window network; StreamError where this version has none, or another one."""
    try:
        kit = importlib.import_module(KIT)
    except ModuleNotFoundError as error:
        if error.name != KIT:
            raise
        raise StreamError("this version fits no window network") from None
    if missing := [name for name in NEEDED if not hasattr(kit, name)]:
        raise StreamError(f"{KIT} has no {', '.join(missing)} to measure")
    return kit


def _model(kit: Any) -> nn.Module:
    """The network at random; fitting begins with a last layer of zeros, which would hide what the others compute."""
    torch.manual_seed(0)
    model: nn.Module = kit.WindowModel(torch.zeros(kit.CHANNELS), torch.ones(kit.CHANNELS))
    for weight in model.parameters():
        if weight.ndim > 1 and not weight.any():
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    return model


def draw_windows(kit: Any, count: int, size: tuple[int, int]) -> Batch:
    """Windows of noise with an ellipse as the object."""
    height, width = size
    generator = torch.Generator().manual_seed(count)
    inputs = torch.randn(count, kit.CHANNELS, height, width, generator=generator)
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    truth = ((x**2 + y**2) < 0.5).float().expand(count, 1, height, width).clone()
    return Batch(inputs, truth, torch.ones_like(truth))


def _steps(kit: Any, model: nn.Module, batch: Batch, device: torch.device, steps: int, half: bool) -> list[Row]:
    own = copy.deepcopy(model).to(device)
    optimizer = torch.optim.AdamW(own.parameters(), kit.RATE, weight_decay=kit.DECAY)
    here = batch.to(device)

    def step() -> None:
        loss = _loss(kit, own, here, device, half)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(own.parameters(), kit.CLIP)
        optimizer.step()

    step()  # kernels are chosen once
    took_s = [seconds(step, device) for _ in range(steps)]
    name = f"{device.type}, {'bfloat16' if half else 'float32'}, {len(batch.truth)} windows"
    return [
        row(PART, f"{name}, a step", "ms", [1e3 * s for s in took_s]),
        row(PART, f"{name}, fitted", "windows/s", [len(batch.truth) / s for s in took_s]),
    ]


def _first_loss(kit: Any, model: nn.Module, batch: Batch, device: torch.device) -> float:
    with torch.no_grad():
        return float(_loss(kit, copy.deepcopy(model).to(device), batch.to(device), device, half=False))


def _loss(kit: Any, model: nn.Module, batch: Batch, device: torch.device, half: bool) -> Tensor:
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        residual = model(batch.inputs)
    loss: Tensor = kit.measure_loss(batch.inputs[:, -1:] + residual.float(), batch.truth, batch.counted)
    return loss
