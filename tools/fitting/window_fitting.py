"""Windows with true masks in, fitted weights of the window network of `lite` out: by PyTorch, on a CPU or a GPU."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from nodes.decoder.lite.window_network import CHANNELS, STRIDE
from stream.arrays import Array
from tools.fitting.window_data import WindowRef, read_window
from tools.fitting.window_model import WindowModel

RATE, DECAY, CLIP = 2e-3, 1e-4, 1.0
BATCH = 4  # windows a step, of one process on a CPU
FIRST_STEPS = 10  # of a segment: they take longer, and are not timed
READERS, AHEAD = 3, 8  # threads that read windows for a GPU, and batches that they are ahead
FORGOTTEN, GAIN_SPREAD = 0.06, 0.15  # of inputs, where a fit is disturbed: share left out, and how strengths differ
NEAR_PX, NEAR_WEIGHT = 4, 2.0  # pixels so near to the true outline count so much more
MIN_AREA_SHARE = 0.08  # of a window, that an object counts as at least
SHUFFLED = 10  # batches: windows of like size are put together among so many


@dataclass
class Fit:
    """A fit between two segments; one process goes on with it for a segment."""

    model: dict[str, Tensor]  # its weights
    moments: list[dict[str, Tensor]] | None = None  # what AdamW keeps of each weight
    step: int = 0


@dataclass(frozen=True)
class Device:
    """What a fit runs on, and what goes with it: the sums, and so the weights, differ between devices."""

    name: str  # as PyTorch has it
    parts: int  # processes that fit side by side, and average
    segment: int  # steps after which they do
    batch: int  # windows a step, of one process
    step_s: float  # roughly


CPU, GPU = Device("cpu", 2, 50, BATCH, 0.3), Device("cuda", 1, 200, 16, 0.03)


@dataclass(frozen=True)
class Plan:
    """How a fit goes; the same bit for bit on machines of one kind, however many cores they have."""

    windows: Sequence[WindowRef]
    steps: int
    rate: float
    seed: int
    device: Device = CPU
    disturbed: bool = False  # some inputs are left out, others are stronger or weaker
    limit_s: float = 1e9  # fewer steps where they would take longer
    upside_down: bool = True  # windows are mirrored that way, too


def find_device() -> Device:
    """The GPU where there is one."""
    return GPU if torch.cuda.is_available() else CPU


def start_fit(windows: Sequence[WindowRef], seed: int) -> Fit:
    """Weights at random, but for the last layer's, which are zero."""
    torch.manual_seed(seed)
    return Fit(WindowModel(*measure_inputs(windows, np.random.default_rng(seed))).state_dict())


def fit_in_parallel(pool: Executor, start: Fit, plan: Plan, name: str = "window network") -> Fit:
    """The fit after all steps of a plan. Some processes fit on windows of their own, and average every few steps."""
    began_s, fit = time.monotonic(), Fit(start.model)
    while fit.step < plan.steps:
        parts = list(pool.map(fit_segment, [(fit, plan, part) for part in range(plan.device.parts)]))
        fit = _average([f for f, _, _ in parts])
        loss, step_s = (float(np.mean([part[i] for part in parts])) for i in (1, 2))
        spent_s = time.monotonic() - began_s
        print(f"{name}: step {fit.step} of {plan.steps}, loss {loss:.4f}, {spent_s:.0f} s", flush=True)
        possible = fit.step + max(0, int((plan.limit_s - spent_s) / max(step_s, 1e-6)))
        if possible < plan.steps:
            print(f"{name}: time for {possible} of {plan.steps} steps only", flush=True)
            plan = replace(plan, steps=possible)
    return fit


def fit_segment(task: tuple[Fit, Plan, int]) -> tuple[Fit, float, float]:
    """The fit some steps on, as one of the processes makes it; the mean loss, and the seconds a step."""
    (fit, plan, part), losses = task, []
    _make_repeatable()
    on_gpu, device = plan.device.name != "cpu", torch.device(plan.device.name)
    rng = np.random.default_rng([plan.seed, fit.step, part])
    model = load_model(fit).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), plan.rate, weight_decay=DECAY)
    if fit.moments:
        optimizer.state.update(zip(model.parameters(), [_moved(m, device) for m in fit.moments], strict=True))
    steps, timed, began_s = min(plan.device.segment, plan.steps - fit.step), 0, time.monotonic()
    loaded = batches(plan, steps, rng, READERS if on_gpu else 0)
    for k, parts in enumerate(loaded, start=fit.step):
        planes, counted = (p.to(device).float() for p in parts)
        x, truth = planes[:, :-1], planes[:, -1:]
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _cycle((k + 1) / plan.steps)
        logits = x[:, -1:]  # of the pixel network
        if plan.disturbed:
            x = disturb(x, model.mean, rng)
        # where a processor multiplies bfloat16, this takes half of the time
        with torch.autocast("cpu", torch.bfloat16, enabled=not on_gpu):
            residual = model(x.contiguous(memory_format=torch.channels_last))
        loss = measure_loss(logits + residual.float(), truth, counted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.detach())
        timed += 1
        if timed == FIRST_STEPS < steps:
            timed, began_s = 0, time.monotonic()
    mean_loss = float(torch.stack(losses).mean())
    cpu = torch.device("cpu")
    moments = [_moved(optimizer.state[p], cpu) for p in model.parameters()]
    weights = _moved(model.state_dict(), cpu)
    return Fit(weights, moments, fit.step + steps), mean_loss, (time.monotonic() - began_s) / max(timed, 1)


def warm_up(device: Device, pause_s: float = 2.0) -> None:
    """Load what the first step needs; the pause lets other processes take their own share of such calls."""
    _make_repeatable()
    model = WindowModel(torch.zeros(CHANNELS), torch.ones(CHANNELS)).to(device.name)
    model(torch.zeros(1, CHANNELS, 64, 64, device=device.name)).sum().backward()
    time.sleep(pause_s)


def _make_repeatable() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False


def disturb(x: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
    """Inputs (B, C, H, W), of which some are at their mean all over, and all are stronger or weaker.

    What is fitted to them trusts no input alone: those of real pictures differ from those of drawn ones.
    """
    shape = (x.shape[0], x.shape[1], 1, 1)
    gain = np.exp(GAIN_SPREAD * rng.standard_normal(shape)) * (rng.random(shape) >= FORGOTTEN)
    return mean + (x - mean) * torch.from_numpy(gain.astype(np.float32)).to(x.device)


def _moved(values: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Copies on a device; AdamW wants its count of steps on the CPU.

    Copies, because PyTorch gives processes the same memory, and AdamW changes what it keeps in place.
    """
    return {name: v.detach().to("cpu" if name == "step" else device, copy=True) for name, v in values.items()}


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


def batches(plan: Plan, steps: int, rng: np.random.Generator, readers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """So many batches of windows of like size, mirrored at random, as `stack_windows` makes them.

    `readers`: threads that read ahead.
    """
    chosen = _choose_windows(plan, steps, rng)
    if not readers:
        yield from map(_read_batch, chosen)
        return
    with ThreadPoolExecutor(readers) as pool:
        ahead = deque(pool.submit(_read_batch, b) for b in islice(chosen, AHEAD))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(_read_batch, b) for b in islice(chosen, 1))


Mirrored = tuple[WindowRef, bool, bool]  # a window; whether it is mirrored upside down; left to right


def _choose_windows(plan: Plan, steps: int, rng: np.random.Generator) -> Iterator[list[Mirrored]]:
    windows, size = plan.windows, plan.device.batch
    queue: list[list[Mirrored]] = []
    for _ in range(steps):
        if not queue:
            some = rng.choice(len(windows), min(len(windows), SHUFFLED * size), replace=False).tolist()
            some.sort(key=lambda i: windows[i].ratio)
            flips = (rng.random((len(windows), 2)) < 0.5) & [plan.upside_down, True]
            parts = [some[k : k + size] for k in range(0, len(some), size)]
            queue = [[(windows[i], *flips[i].tolist()) for i in parts[k]] for k in rng.permutation(len(parts))]
        yield queue.pop()


def _read_batch(chosen: Sequence[Mirrored]) -> tuple[Tensor, Tensor]:
    return stack_windows([_mirror(read_window(ref), *flips) for ref, *flips in chosen])


def _mirror(planes: Array, upside_down: bool, left_to_right: bool) -> Array:
    """The planes (C, h, w) of a window, mirrored."""
    return planes[:, :: -1 if upside_down else 1, :: -1 if left_to_right else 1]


def stack_windows(parts: Sequence[Array]) -> tuple[Tensor, Tensor]:
    """(B, C, H, W), (B, 1, H, W) float16: windows repeated at their edges up to one size, and 0 where those are."""
    height, width = (max(p.shape[axis] for p in parts) for axis in (1, 2))
    height, width = height + -height % STRIDE, width + -width % STRIDE
    planes = np.empty((len(parts), len(parts[0]), height, width), np.float16)
    counted = np.zeros((len(parts), 1, height, width), np.float16)
    for k, part in enumerate(parts):
        _, h, w = part.shape
        planes[k, :, :h, :w], counted[k, 0, :h, :w] = part, 1
        planes[k, :, h:, :w] = planes[k, :, h - 1 : h, :w]
        planes[k, :, :, w:] = planes[k, :, :, w - 1 : w]
    return torch.from_numpy(planes), torch.from_numpy(counted)


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
