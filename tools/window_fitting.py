"""Windows with true masks in, the fitted window network of `lite` out, as an ONNX file: PyTorch fits it.

    1/2   24 channels   2x2, stride 2 - 3x3 -------------------------------- + - 3x3 - 3x3 -> added to pixel logits
    1/4   32 channels     '- 3x3, stride 2 - 3x3 ---------------------- + - 3x3 -' 1x1, bilinear
    1/8   48 channels          '- 3x3, stride 2 - three residual 3x3 - -' 1x1, bilinear      (dilated by 1, 2, 4)

of the window's working size; the last layer has one output for each of the four pixels that a place at 1/2 stands for.
Leaky ReLU 0.1 after the first layer and each 3x3 but the last, which starts at zero: so fitting begins at the pixel
network's quality.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from nodes.decoder.lite.window_network import CHANNELS, LOGIT_PLANE, SHRINK, STRIDE
from stream.arrays import Array
from tools.onnx_file import OnnxGraph
from tools.window_data import WindowRef, read_window

WIDTHS = (24, 32, 48)  # channels at 1/2, 1/4, 1/8
DILATIONS = (1, 2, 4)  # at 1/8
LEAK = 0.1
RATE, DECAY, BATCH, CLIP = 2e-3, 1e-4, 4, 1.0
PARTS, SEGMENT = 2, 50  # processes that fit side by side, and steps after which they average; fixed, as the sums are
NEAR_PX, NEAR_WEIGHT = 4, 2.0  # pixels so near to the true outline count so much more
MIN_AREA_SHARE = 0.08  # of a window, that an object counts as at least
SHUFFLED = 10  # batches: windows of like size are put together among so many


class WindowModel(nn.Module):
    """(B, CHANNELS, H, W) -> (B, 1, H, W) logits; H and W divisible by STRIDE. `mean`, `spread`: (CHANNELS,)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("spread", spread.view(1, -1, 1, 1))
        w = WIDTHS
        self.stem = nn.Conv2d(CHANNELS, w[0], SHRINK, SHRINK)
        self.first = nn.Conv2d(w[0], w[0], 3, 1, 1)
        self.down, self.level, self.up, self.merge = (nn.ModuleList() for _ in range(4))
        for i in range(1, len(w)):
            self.down.append(nn.Conv2d(w[i - 1], w[i], 3, 2, 1))
            if i < len(w) - 1:
                self.level.append(nn.Conv2d(w[i], w[i], 3, 1, 1))
        self.bottom = nn.ModuleList(nn.Conv2d(w[-1], w[-1], 3, 1, d, d) for d in DILATIONS)
        for i in reversed(range(1, len(w))):
            self.up.append(nn.Conv2d(w[i], w[i - 1], 1))
            self.merge.append(nn.Conv2d(w[i - 1], w[i - 1], 3, 1, 1))
        self.last = nn.Conv2d(w[0], SHRINK**2, 3, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, a=LEAK)
                nn.init.zeros_(module.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The logits that are added to the pixel network's."""
        x = fn.leaky_relu(self.first(fn.leaky_relu(self.stem((x - self.mean) / self.spread), LEAK)), LEAK)
        sides = []
        for i, down in enumerate(self.down):
            sides.append(x)
            x = fn.leaky_relu(down(x), LEAK)
            if i < len(self.level):
                x = fn.leaky_relu(self.level[i](x), LEAK)
        for conv in self.bottom:
            x = x + fn.leaky_relu(conv(x), LEAK)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = fn.leaky_relu(merge(sides.pop() + _double(up(x))), LEAK)
        return fn.pixel_shuffle(self.last(x), SHRINK)

    def to_onnx(self, share: float = 1.0) -> bytes:
        """The same as OpenCV reads it, which adds so much of it; the inputs' normalisation is in the first layer."""
        graph = OnnxGraph()
        scales = graph.add_weights(np.array([1, 1, 2, 2], np.float32))

        def conv(layer: nn.Module, x: str, active: bool = True) -> str:
            assert isinstance(layer, nn.Conv2d), layer
            assert layer.bias is not None, "every layer has a bias"
            weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
            if layer is self.stem:
                weight = weight / self.spread.double()
                bias = bias - (weight * self.mean.double()).sum(dim=(1, 2, 3))
            if layer is self.last:
                weight, bias = share * weight, share * bias
            k, s, d, p = (int(v[0]) for v in (layer.kernel_size, layer.stride, layer.dilation, layer.padding))
            names = [graph.add_weights(v.float().numpy()) for v in (weight, bias)]
            y = graph.add("Conv", [x, *names], kernel_shape=(k, k), strides=(s, s), dilations=(d, d), pads=(p, p, p, p))
            return graph.add("LeakyRelu", [y], alpha=LEAK) if active else y

        x, sides = conv(self.first, conv(self.stem, "input")), []
        for i, down in enumerate(self.down):
            sides.append(x)
            x = conv(down, x)
            if i < len(self.level):
                x = conv(self.level[i], x)
        for layer in self.bottom:
            x = graph.add("Add", [x, conv(layer, x)])
        for up, merge in zip(self.up, self.merge, strict=True):
            small = conv(up, x, active=False)
            large = graph.add("Resize", [small, "", scales], mode="linear", coordinate_transformation_mode="half_pixel")
            x = conv(merge, graph.add("Add", [sides.pop(), large]))
        return graph.to_bytes((CHANNELS, SHRINK**2), conv(self.last, x, active=False), "window_network")


def _double(x: Tensor) -> Tensor:
    return fn.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


@dataclass
class Fit:
    """A fit between two segments; one process goes on with it for a segment."""

    model: dict[str, Tensor]  # its weights
    moments: list[dict[str, Tensor]] | None = None  # what AdamW keeps of each weight
    step: int = 0


@dataclass(frozen=True)
class Plan:
    """How a fit goes; the same bit for bit on machines of one kind, however many cores they have."""

    windows: Sequence[WindowRef]
    steps: int
    rate: float
    seed: int


def start_fit(windows: Sequence[WindowRef], seed: int) -> Fit:
    """Weights at random, but for the last layer's, which are zero."""
    torch.manual_seed(seed)
    return Fit(WindowModel(*measure_inputs(windows, np.random.default_rng(seed))).state_dict())


def fit_in_parallel(pool: Executor, start: Fit, plan: Plan, file: Path | None = None) -> Fit:
    """The fit after all steps of a plan. Some processes fit on windows of their own, and average every few steps.

    `file` keeps it between segments, and one that was interrupted goes on from there.
    """
    began_s, fit = time.monotonic(), Fit(start.model)
    if file and file.exists():
        fit = Fit(**torch.load(file, weights_only=True))
    while fit.step < plan.steps:
        parts = list(pool.map(fit_segment, [(fit, plan, part) for part in range(PARTS)]))
        fit = _average([f for f, _ in parts])
        if file:
            torch.save(vars(fit), file)
        mean, spent_s = np.mean([loss for _, loss in parts]), time.monotonic() - began_s
        print(f"window network: step {fit.step} of {plan.steps}, loss {mean:.4f}, {spent_s:.0f} s", flush=True)
    return fit


def fit_segment(task: tuple[Fit, Plan, int]) -> tuple[Fit, float]:
    """The fit some steps on, as one of the processes makes it; and the mean loss."""
    (fit, plan, part), losses = task, []
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng([plan.seed, fit.step, part])
    model = load_model(fit)
    optimizer = torch.optim.AdamW(model.parameters(), plan.rate, weight_decay=DECAY)
    if fit.moments:
        optimizer.state.update(zip(model.parameters(), fit.moments, strict=True))
    steps = min(SEGMENT, plan.steps - fit.step)
    for k, (x, truth, counted) in enumerate(batches(plan.windows, steps, rng), start=fit.step):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _cycle((k + 1) / plan.steps)
        # where the processor multiplies bfloat16, this takes half of the time
        with torch.autocast("cpu", torch.bfloat16):
            residual = model(x.contiguous(memory_format=torch.channels_last))
        loss = measure_loss(x[:, LOGIT_PLANE : LOGIT_PLANE + 1] + residual.float(), truth, counted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(float(loss.detach()))
    moments = [dict(optimizer.state[p]) for p in model.parameters()]
    return Fit(model.state_dict(), moments, fit.step + steps), float(np.mean(losses))


def load_model(fit: Fit) -> WindowModel:
    """The network of a fit."""
    model = WindowModel(fit.model["mean"], fit.model["spread"])
    model.load_state_dict(fit.model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _cycle(share: float) -> float:
    """Share of the rate, at a share of the steps: up in a tenth of them, then down to zero along a cosine."""
    return share / 0.1 if share < 0.1 else 0.5 + 0.5 * float(np.cos(np.pi * (share - 0.1) / 0.9))


def _average(fits: Sequence[Fit]) -> Fit:
    """The mean of the weights, and of AdamW's moments."""

    def mean(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.stack([p[name] for p in parts]).mean(dim=0) for name in parts[0]}

    moments = [mean(parts) for parts in zip(*(f.moments or [] for f in fits), strict=True)]
    return Fit(mean([f.model for f in fits]), moments, fits[0].step)


def measure_inputs(windows: Sequence[WindowRef], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel (C,) over some windows."""
    chosen = rng.choice(len(windows), min(len(windows), 200), replace=False)
    planes = [read_window(windows[i])[:-1, ::3, ::3] for i in chosen]
    flat = np.concatenate([p.reshape(len(p), -1) for p in planes], axis=1).astype(np.float32)
    return torch.from_numpy(flat.mean(axis=1)), torch.from_numpy(flat.std(axis=1) + np.float32(1e-3))


def batches(
    windows: Sequence[WindowRef], steps: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """So many batches of windows of like size, mirrored at random: inputs, truth, what counts."""
    queue: list[list[WindowRef]] = []
    for _ in range(steps):
        if not queue:
            some = rng.choice(len(windows), min(len(windows), SHUFFLED * BATCH), replace=False).tolist()
            some.sort(key=lambda i: windows[i].ratio)
            parts = [some[k : k + BATCH] for k in range(0, len(some), BATCH)]
            queue = [[windows[i] for i in parts[k]] for k in rng.permutation(len(parts))]
        yield stack_windows([mirror(read_window(ref), rng) for ref in queue.pop()])


def mirror(planes: Array, rng: np.random.Generator) -> Array:
    """The planes (C, h, w) of a window, mirrored at random."""
    for axis in (1, 2):
        if rng.random() < 0.5:
            planes = np.flip(planes, axis)
    return planes


def stack_windows(parts: Sequence[Array]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, C, H, W), (B, 1, H, W), (B, 1, H, W): windows repeated at their edges up to one size; those do not count."""
    height, width = (max(p.shape[axis] for p in parts) for axis in (1, 2))
    height, width = height + -height % STRIDE, width + -width % STRIDE
    planes = np.empty((len(parts), CHANNELS + 1, height, width), np.float16)
    counted = np.zeros((len(parts), 1, height, width), np.float16)
    for k, part in enumerate(parts):
        _, h, w = part.shape
        planes[k, :, :h, :w], counted[k, 0, :h, :w] = part, 1
        planes[k, :, h:, :w] = planes[k, :, h - 1 : h, :w]
        planes[k, :, :, w:] = planes[k, :, :, w - 1 : w]
    x, y, c = (torch.from_numpy(values).float() for values in (planes[:, :-1], planes[:, -1:], counted))
    return x.contiguous(), y.contiguous(), c


def measure_loss(logits: Tensor, truth: Tensor, counted: Tensor) -> Tensor:
    """Cross-entropy against the object's area, more near the true outline, and Dice; the mean over windows."""
    inside = (truth > 0.5).float()
    near = _grow(inside) - (1 - _grow(1 - inside))
    area = (truth * counted).sum(dim=(1, 2, 3)).clamp(min=1)
    area = torch.maximum(area, MIN_AREA_SHARE * counted.sum(dim=(1, 2, 3)))
    weight = counted * (1 + NEAR_WEIGHT * near)
    entropy = fn.binary_cross_entropy_with_logits(logits, truth, weight, reduction="none").sum(dim=(1, 2, 3)) / area
    probability = torch.sigmoid(logits) * counted
    overlap = 2 * (probability * truth).sum(dim=(1, 2, 3)) + 1
    dice = 1 - overlap / (probability.sum(dim=(1, 2, 3)) + (truth * counted).sum(dim=(1, 2, 3)) + 1)
    return (0.5 * entropy + dice).mean()


def _grow(mask: Tensor) -> Tensor:
    """A mask grown by NEAR_PX to all sides."""
    side = 2 * NEAR_PX + 1
    return fn.max_pool2d(fn.max_pool2d(mask, (side, 1), 1, (NEAR_PX, 0)), (1, side), 1, (0, NEAR_PX))
