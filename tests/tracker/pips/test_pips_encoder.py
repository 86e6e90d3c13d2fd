"""The encoder of PIPS: plain layers, written here once more from the specification, are the truth."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from nodes.tracker.pips.blocks import Blocks  # noqa: E402
from nodes.tracker.pips.feature_encoder import Encoder  # noqa: E402
from nodes.tracker.pips.layers import WholeMaps  # noqa: E402
from nodes.tracker.pips.scratch import Scratch  # noqa: E402
from nodes.tracker.pips.winograd import Winograd, _bases, tile_for  # noqa: E402

MAPS_AGREE = 1e-4  # largest difference of two float32 encoders; maps have a deviation of about 0.7
# What float32 may cost, whatever the processor and the order of sums: each operation rounds by at most UNIT_ROUNDOFF of
# its result. In a sum of n terms of random signs the partial sums grow as sqrt(i), so the roundings, of random signs
# too, make up at most UNIT_ROUNDOFF * sqrt(1 + ... + n) = UNIT_ROUNDOFF * n / sqrt(2) of a term: sqrt(n / 2) roundoffs
# of the whole sum (root mean squares throughout). No machine may exceed it; a processor that sums in blocks or with
# fused operations stays far below.
UNIT_ROUNDOFF = 2.0**-24


def plain_map(weights: dict[str, Tensor], x: Tensor, stride: int = 4) -> Tensor:
    """The map of frames (B, 3, H, W), layer by layer."""

    def conv(name: str, x: Tensor, step: int, border: int) -> Tensor:
        return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], step, border)

    def residual(name: str, x: Tensor, step: int) -> Tensor:
        y = functional.instance_norm(conv(f"{name}.conv1", x, step, 1)).relu()
        y = functional.instance_norm(conv(f"{name}.conv2", y, 1, 1)).relu()
        if step > 1:
            x = functional.instance_norm(conv(f"{name}.downsample.0", x, step, 0))
        return (x + y).relu()

    size = x.shape[2] // stride, x.shape[3] // stride
    x = functional.instance_norm(conv("conv1", x, 2, 3)).relu()
    maps = []
    for i, step in ((1, 1), (2, 2), (3, 2), (4, 2)):
        x = residual(f"layer{i}.1", residual(f"layer{i}.0", x, step), 1)
        maps.append(functional.interpolate(x, size, mode="bilinear", align_corners=True))
    y = functional.instance_norm(conv("conv2", torch.cat(maps, dim=1), 1, 1)).relu()
    return conv("conv3", y, 1, 0)


def in_double(encoder: Encoder, frames: Tensor) -> Tensor:
    """The truth, in float64."""
    return plain_map({name: w.double() for name, w in encoder.state_dict().items()}, frames.double(), encoder.stride)


def random_encoder(stride: int = 4, seed: int = 0) -> Encoder:
    """Weights as PIPS has them: torch's own start, and biases that matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Encoder(stride).eval().requires_grad_(False)


def frames_of(batch: int, height: int, width: int) -> Tensor:
    """Smooth shapes with some noise, -1..1."""
    generator = torch.Generator().manual_seed(height)
    coarse = torch.rand(batch, 3, 5, 7, generator=generator)
    smooth = functional.interpolate(coarse, (height, width), mode="bicubic")
    return (2 * smooth - 1 + 0.1 * torch.randn(batch, 3, height, width, generator=generator)).clamp(-1, 1)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """As many threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Torch's threads spin while they wait for each other: on a busy machine a second becomes minutes."""
    with threads(1):
        yield


@pytest.mark.parametrize(
    ("stride", "height", "width"), [(4, 64, 64), (4, 66, 97), (4, 131, 70), (8, 128, 160), (8, 133, 129)]
)
def test_the_map_is_that_of_plain_layers_at_any_size(stride: int, height: int, width: int) -> None:
    encoder, frames = random_encoder(stride), frames_of(1, height, width)
    with torch.inference_mode():
        found = encoder(frames)
    assert found.shape == (1, 128, height // stride, width // stride)
    assert found.dtype == torch.float32
    assert (found - in_double(encoder, frames)).abs().max() < MAPS_AGREE


def test_blocks_round_as_float32_may() -> None:
    encoder, frames = random_encoder(), frames_of(1, 128, 192)
    with torch.inference_mode():
        found = encoder(frames)
    truth = in_double(encoder, frames)
    # The norm after each convolution gives maps of deviation 1, so that the errors of all layers add up as squares.
    convolutions = [w for name, w in encoder.state_dict().items() if name.endswith("weight") and w.ndim == 4]
    roundoffs = sum(w[0].numel() / 2 * gain(w) ** 2 for w in convolutions) ** 0.5
    assert len(convolutions) == 22
    assert (found - truth).square().mean().sqrt() < UNIT_ROUNDOFF * roundoffs * truth.std()


def gain(weight: Tensor) -> float:
    """How much larger the numbers are that a convolution adds up than their sum, as root mean squares; 1: as large.

    Plain sums of random terms: 1. Winograd's: places times outputs cancel each other, and so do not their roundings.
    For inputs of deviation 1 and weights of deviation 1 / sqrt(9 * inputs), a value at place p has the variance of
    its row of the patch's matrix, its weight that of the row of the kernel's; an output adds up all places.
    """
    if weight.shape[2:] != (3, 3):
        return 1.0
    bases = zip(*(_bases(side) for side in tile_for(weight.shape[1])), strict=True)
    patch, kernel, outputs = (torch.kron(down, across).square() for down, across in bases)
    return float((outputs @ (patch.sum(1) * kernel.sum(1) / 9)).mean().sqrt())


def test_every_stage_on_the_way_is_that_of_plain_layers() -> None:
    encoder, frames = random_encoder(), frames_of(1, 72, 100)
    with torch.inference_mode():
        blocks = encoder.stages(frames)
    with torch.enable_grad():
        whole = encoder.stages(frames)
    assert list(blocks) == ["conv1", "layer1", "layer2", "layer3", "layer4", "conv2", "fmap"]
    for name, value in blocks.items():
        assert (value - whole[name]).abs().max() < MAPS_AGREE, name
    first = functional.conv2d(frames, encoder.conv1.weight, encoder.conv1.bias, 2, 3)
    assert (blocks["conv1"] - first).abs().max() < MAPS_AGREE


def test_a_frame_has_the_same_map_alone_and_in_a_batch() -> None:
    encoder, frames = random_encoder(), frames_of(3, 64, 80)
    with torch.inference_mode():
        together = encoder(frames)
        alone = torch.cat([encoder(frame.unsqueeze(0)) for frame in frames])
    assert torch.equal(together, alone)


def test_a_map_stays_what_it_is_while_other_frames_are_encoded() -> None:
    encoder, (first, second) = random_encoder(), frames_of(2, 64, 80)
    with torch.inference_mode():
        kept = encoder(first.unsqueeze(0))
        before = kept.clone()
        encoder(second.unsqueeze(0))
    assert torch.equal(kept, before)


def test_frames_may_change_their_size() -> None:
    encoder, small, large = random_encoder(), frames_of(1, 64, 70), frames_of(1, 96, 130)
    with torch.inference_mode():
        fresh = random_encoder()(small)
        encoder(large)
        assert torch.equal(encoder(small), fresh), "what larger frames left in the memory is not read"


def test_any_number_of_threads_gives_the_same_bits() -> None:
    encoder, frames = random_encoder(), frames_of(1, 128, 160)
    found = []
    for count in (1, 2, 3):
        with threads(count), torch.inference_mode():
            found.append(encoder(frames))
            assert torch.get_num_threads() == count, "the caller's threads are as they were"
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_no_grad_and_inference_mode_may_take_turns() -> None:
    encoder, frames = random_encoder(), frames_of(1, 64, 64)
    with torch.inference_mode():
        first = encoder(frames)
    with torch.no_grad():
        second = encoder(frames)
    second += 1
    with torch.inference_mode():
        assert torch.equal(first, encoder(frames))
    assert torch.equal(first + 1, second)


def test_where_gradients_are_wanted_they_flow() -> None:
    encoder, frames = random_encoder().requires_grad_(True), frames_of(1, 64, 64)
    found = encoder(frames)
    assert (found - in_double(encoder, frames)).abs().max() < MAPS_AGREE
    found.square().sum().backward()
    assert all(w.grad is not None for name, w in encoder.named_parameters() if name.endswith("weight"))


def test_weights_that_are_loaded_later_are_used() -> None:
    encoder, other, frames = random_encoder(), random_encoder(seed=1), frames_of(1, 64, 64)
    with torch.inference_mode():
        encoder(frames)
        encoder.load_state_dict(other.state_dict())
        assert torch.equal(encoder(frames), other(frames))
        assert (encoder.double().float()(frames) - other(frames)).abs().max() < MAPS_AGREE


def test_a_copy_of_a_used_encoder_has_a_life_of_its_own() -> None:
    encoder, frames = random_encoder(), frames_of(1, 64, 64)
    with torch.inference_mode():
        first = encoder(frames)
        twin = copy.deepcopy(encoder)
        twin.load_state_dict(random_encoder(seed=1).state_dict())
        assert not torch.equal(twin(frames), first)
        assert torch.equal(encoder(frames), first)


@pytest.mark.parametrize("layers", [Blocks, WholeMaps])
def test_bfloat16_comes_near_and_answers_in_float32(layers: type[Blocks | WholeMaps]) -> None:
    encoder, frames = random_encoder(), frames_of(1, 64, 64)
    grad = torch.enable_grad() if layers is WholeMaps else torch.inference_mode()
    with grad, torch.autocast("cpu", torch.bfloat16):
        by_autocast = encoder(frames)
    with grad:
        by_weights = encoder.to(torch.bfloat16)(frames)
    assert by_weights.dtype == by_autocast.dtype == torch.float32
    truth = in_double(random_encoder(), frames)
    for found in (by_weights, by_autocast):
        error = (found - truth).square().mean().sqrt() / truth.std()
        assert MAPS_AGREE < error < 0.03, f"{error:.4f} of the maps' deviation; bfloat16 has 8 bits"


@pytest.mark.parametrize(("inputs", "outputs", "down", "across"), [(64, 64, 6, 7), (128, 64, 4, 4), (416, 16, 2, 3)])
def test_winograd_is_the_convolution_and_rounds_as_float32_may(
    inputs: int, outputs: int, down: int, across: int
) -> None:
    generator = torch.Generator().manual_seed(inputs)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator) / (3 * inputs**0.5)
    winograd = Winograd(weight)
    h, w = down * winograd.tile[0], across * winograd.tile[1]
    x = torch.randn(h + 2, w + 2, inputs, generator=generator)
    out = torch.empty(h, w, outputs)
    winograd(x, out, Scratch())
    truth = functional.conv2d(x.permute(2, 0, 1).unsqueeze(0).double(), weight.double())[0].permute(1, 2, 0)
    places = winograd._values.shape[0]
    # Rounded are the kernel's values, those of the patch (sums over places), the products (over inputs), the outputs.
    roundoffs = gain(weight) * (1 + places / 2 + inputs / 2 + places / 2) ** 0.5
    assert (out - truth).square().mean().sqrt() < UNIT_ROUNDOFF * roundoffs * truth.std()
    assert UNIT_ROUNDOFF * roundoffs < MAPS_AGREE / 10, "22 layers of it stay within what two encoders may differ by"


def test_a_failure_in_any_thread_reaches_the_caller() -> None:
    def work(i: int, scratch: Scratch) -> None:
        both_at_work.wait(10)
        if i == failing:
            raise MemoryError(f"block {i}")

    for failing in (0, 1):  # one is the caller's, the other its helper's
        both_at_work = threading.Barrier(2)
        with threads(2), pytest.raises(MemoryError, match=f"block {failing}"):
            Blocks(torch.float32)._each(2, work)


def test_scratch_memory_is_used_again_and_grows() -> None:
    scratch = Scratch()
    small = scratch("a", 2, 3)
    assert small.shape == (2, 3)
    assert scratch("a", 6).data_ptr() == small.data_ptr()
    assert scratch("b", 6).data_ptr() != small.data_ptr()
    assert scratch("a", 6, dtype=torch.bfloat16).data_ptr() != small.data_ptr()
    assert scratch("a", 50).shape == (50,)
