"""The layers of the PIPS encoder on the CPU: the same numbers as from whole maps, in about half the time.

A map is (h, w, C) and is computed in blocks of rows, which stay in the processor's cache through the whole layer: norm
and ReLU of the input, convolution, sums for the norm of the output. A frame at 576x1024 thus moves its largest maps
(38 MB) through memory once a layer, not five times. Convolutions of 3x3 are Winograd's.

Blocks are distributed over our own threads, which synchronise once a layer. Torch's threads would synchronise in every
operation, thousands of times a frame, and where another process needs one of two cores, each time waits for the
scheduler.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.tracker.pips.layers import EPSILON, Map, Size
from nodes.tracker.pips.scratch import Scratch
from nodes.tracker.pips.winograd import Winograd

PIXELS = 2048  # of a block: 0.5 to 2 MB, and Python's overhead is 5 % of it
LEAST_ROWS = 8  # of a block: the 2 border rows, which neighbouring blocks read as well, are a quarter
MOST_THREADS = 8  # Python's overhead runs on one thread at a time

Kernel = Callable[[Tensor, Tensor, Scratch], None]  # a block with its border in, its outputs out


class Blocks:
    """`Layers` of one frame on the CPU; forward only."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype  # of maps and weights; the norms' sums are float32 whatever it is
        self._maps = Scratch()  # by the names that the encoder gives them
        self._scratches = [Scratch() for _ in range(MOST_THREADS)]
        self._kernels: dict[nn.Conv2d, Kernel] = {}  # with their weights prepared
        self._pool = ThreadPoolExecutor(MOST_THREADS, "encoder")

    def frames(self, frames_bchw: Tensor) -> Map:
        """One frame (1, 3, H, W)."""
        return Map(frames_bchw[0].permute(1, 2, 0))

    def conv(self, conv: nn.Conv2d, maps: Sequence[Map], into: str, rectify: bool = True) -> Map:
        """The convolution, and the norm that its reader applies."""
        h, w = (-(-side // conv.stride[0]) for side in maps[0].values.shape[:2])
        kernel = self._kernel(conv)
        down, across = kernel.tile if isinstance(kernel, Winograd) else (1, 1)
        values = self._maps(into, _round_up(h, down), _round_up(w, across), conv.out_channels, dtype=self.dtype)
        rows = _round_up(_rows_per_block(values), down)
        moments = Moments(-(-h // rows), conv.out_channels)

        def measure(i: int, block: Tensor, scratch: Scratch) -> None:
            moments.add_block(i, block[: h - i * rows, :w], scratch)

        self._convolve(conv, maps, values, rows, measure)
        return Map(values[:h, :w], *moments.norm(), rectify)

    def add(self, skip: Map, y: Map) -> Map:
        """The sum, where the values of `skip` were."""
        out = skip.values
        rows = _rows_per_block(out)

        def work(i: int, scratch: Scratch) -> None:
            block = out[i * rows : (i + 1) * rows]
            added = scratch("added", *block.shape, dtype=self.dtype)
            _read(skip, block, block)
            _read(y, y.values[i * rows : (i + 1) * rows], added)
            block.add_(added).relu_()

        self._each(-(-out.shape[0] // rows), work)
        return Map(out)

    def resize(self, maps: Sequence[Map], size: Size) -> list[Map]:
        """Each on a thread; a map that has the size already is returned as it is."""
        shapes = [(*size, m.values.shape[2]) for m in maps]
        resized = [
            m.values if m.values.shape == shape else self._maps(f"resized {i}", *shape, dtype=self.dtype)
            for i, (m, shape) in enumerate(zip(maps, shapes, strict=True))
        ]

        def work(i: int, scratch: Scratch) -> None:
            if resized[i] is not maps[i].values:  # `functional.interpolate` has no way to say where to
                torch.ops.aten.upsample_bilinear2d.out(
                    _bchw(maps[i].values), size, align_corners=True, out=_bchw(resized[i])
                )

        self._each(len(maps), work)
        return [Map(values) for values in resized]

    def project(self, conv: nn.Conv2d, y: Map) -> Tensor:
        """The last layer, in memory of its own."""
        out = torch.empty(*y.values.shape[:2], conv.out_channels)

        def add_bias(i: int, block: Tensor, scratch: Scratch) -> None:
            assert conv.bias is not None
            block += conv.bias

        self._convolve(conv, [y], out, _rows_per_block(out), add_bias)
        return _bchw(out)

    def show(self, y: Map) -> Tensor:
        """The values, before their norm."""
        return _bchw(y.values).to(torch.float32, copy=True)

    # --- parts ------------------------------------------------------------------------------------------------------

    def _kernel(self, conv: nn.Conv2d) -> Kernel:
        if conv not in self._kernels:
            weight = conv.weight.detach().to(self.dtype)
            if conv.kernel_size == (1, 1):
                self._kernels[conv] = Pointwise(weight)
            elif conv.kernel_size == (3, 3) and conv.stride == (1, 1) and self.dtype == torch.float32:
                self._kernels[conv] = Winograd(weight)
            else:
                self._kernels[conv] = Direct(weight, conv.stride[0])
        return self._kernels[conv]

    def _convolve(
        self, conv: nn.Conv2d, maps: Sequence[Map], out: Tensor, rows: int, then: Callable[[int, Tensor, Scratch], None]
    ) -> None:
        """Fill `out` (h, w, C), `rows` at a time, and call `then` with each block while it is in the cache."""
        kernel, side, stride = self._kernel(conv), conv.kernel_size[0], conv.stride[0]
        if side == 1:
            maps, stride = [m._replace(values=m.values[::stride, ::stride]) for m in maps], 1

        def work(i: int, scratch: Scratch) -> None:
            block = out[i * rows : (i + 1) * rows]
            reads = [(n - 1) * stride + side for n in block.shape[:2]]
            x = scratch("x", *reads, conv.in_channels, dtype=self.dtype)
            _read_rows(maps, i * rows * stride - side // 2, side // 2, x)
            kernel(x, block, scratch)
            then(i, block, scratch)

        self._each(-(-out.shape[0] // rows), work)

    def _each(self, blocks: int, work: Callable[[int, Scratch], None]) -> None:
        """Do `work` for 0..blocks-1. A thread takes the next block when it is done with one: slower cores get fewer."""
        next_block = itertools.count()
        inference, threads = torch.is_inference_mode_enabled(), torch.get_num_threads()

        def take_blocks(scratch: Scratch) -> None:
            torch.set_num_threads(1)  # in this thread; in the library of matrix products for as long as this runs
            with torch.inference_mode(inference), torch.no_grad():
                while (i := next(next_block)) < blocks:
                    work(i, scratch)

        helpers = min(threads, blocks, MOST_THREADS) - 1
        tasks = [self._pool.submit(take_blocks, scratch) for scratch in self._scratches[:helpers]]
        try:
            take_blocks(self._scratches[-1])
        finally:
            failures = [task.exception() for task in tasks]  # waits
            torch.set_num_threads(threads)
        for failure in failures:
            if failure:
                raise failure


class Pointwise:
    """A convolution of 1x1, as the matrix product that it is: 3 times as fast as by torch's convolution."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight.flatten(1)

    def __call__(self, x: Tensor, out: Tensor, scratch: Scratch) -> None:
        """(h, w, inputs) to (h, w, outputs)."""
        out.copy_(functional.linear(x, self._weight))


class Direct:
    """Any convolution."""

    def __init__(self, weight: Tensor, stride: int) -> None:
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._stride = stride

    def __call__(self, x: Tensor, out: Tensor, scratch: Scratch) -> None:
        """A block with its border to (h, w, outputs)."""
        _bchw(out).copy_(functional.conv2d(_bchw(x), self._weight, None, self._stride))


class Moments:
    """Means and variances of a map's channels from those of its blocks, in whatever order they come."""

    def __init__(self, blocks: int, channels: int) -> None:
        self._pixels = torch.zeros(blocks)
        self._means = torch.zeros(blocks, channels)
        self._squares = torch.zeros(blocks, channels)  # sums of squared differences from the block's own mean

    def add_block(self, i: int, block: Tensor, scratch: Scratch) -> None:
        """Measure block i, (h, w, C)."""
        mean = block.mean((0, 1), dtype=torch.float32)
        deviations = torch.sub(block, mean, out=scratch("deviations", *block.shape))
        self._pixels[i], self._means[i] = block.shape[0] * block.shape[1], mean
        self._squares[i] = deviations.square_().sum((0, 1))

    def norm(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,) that bring the map to mean 0 and variance 1."""
        pixels = self._pixels.sum()
        mean = self._pixels @ self._means / pixels
        squares = self._squares.sum(0) + self._pixels @ (self._means - mean).square()
        scale = (squares / pixels + EPSILON).rsqrt()
        return scale, -mean * scale


def _read_rows(maps: Sequence[Map], top: int, border: int, x: Tensor) -> None:
    """Fill `x` with rows of maps, channel after channel, from row `top` and column -`border` on; outside is 0."""
    height, width = maps[0].values.shape[:2]
    first, last = max(top, 0), min(top + x.shape[0], height)
    across = min(width, x.shape[1] - border)
    inside = x[first - top : last - top, border : border + across]
    x[: first - top] = 0
    x[last - top :] = 0
    x[:, :border] = 0
    x[:, border + across :] = 0
    channel = 0
    for m in maps:
        channels = m.values.shape[2]
        _read(m, m.values[first:last, :across], inside[..., channel : channel + channels])
        channel += channels


def _read(m: Map, values: Tensor, out: Tensor) -> None:
    """Some of the values of a map, with its norm and ReLU."""
    if m.scale is None or m.shift is None:
        out.copy_(values)  # which does nothing where they are the same
    else:
        torch.addcmul(m.shift, values, m.scale, out=out)
        if m.rectify:
            out.relu_()


def _rows_per_block(values: Tensor) -> int:
    """Rows of a block of a map (h, w, C)."""
    return max(LEAST_ROWS, PIXELS // values.shape[1])


def _round_up(size: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-size // step) * step


def _bchw(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1).unsqueeze(0)
