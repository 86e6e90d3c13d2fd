"""A folder of golden files in, the weights that they were made with out: given, lying there, or drawn from a seed.

Golden numbers need no trained weights. The networks are filled with random numbers from a seed that the files do not
tell, but each seed gives another first convolution: the first 64 are tried on the golden values of its output. The seed
of query points shows in the pixels that k-medoids were drawn from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.tracker.pips.checkpoint import load_pips
from nodes.tracker.pips.network import Pips
from nodes.tracker.sampling.query_points import by_random
from stream.errors import CheckpointError, ConfigError
from tools.goldens.recorded_choices import TorchSource
from tools.goldens.rows import Golden, clip_of, unpack
from tools.goldens.weights import pips_weights
from tools.paper_settings import SEED

SEEDS = range(64)
QUERY_SEEDS = range(256)  # a draw costs a millisecond
CLOSE = 1e-4  # two seeds differ by about 1
N = TypeVar("N", bound=nn.Module)
CPU = torch.device("cpu")
FIRST = "enc_conv1_sub"  # of frame 0, every 8th channel, every 16th row and column


class Weights:
    """The weights of a folder's golden files, found when the first comparison asks for them.

    They are looked for on the CPU, and compared on `device`.
    """

    def __init__(
        self,
        folder: Path,
        pips_file: Path | None = None,
        seed: int | None = None,
        query_seed: int | None = None,
        device: torch.device = CPU,
    ) -> None:
        self.folder = folder
        self.device = device
        self.pips_file = pips_file
        self.seed = seed
        self.given_query_seed = query_seed
        self.origins: list[str] = []  # where weights and seeds came from, a sentence each

    def find_network(
        self,
        name: str,
        ending: str,
        golden: Path,
        load: Callable[[Path], N],
        make: Callable[[int], N],
        fits: Callable[[N], str],
    ) -> N:
        """A network that a golden file was made with: from the folder, of the seed given, or of the first that fits.

        `fits` says what of a network on the CPU fits the file, "" where nothing does; ConfigError when no seed does.
        """
        for file in sorted(self.folder.glob(f"*{ending}")):
            try:
                network = load(file)
            except CheckpointError:
                continue  # of another network
            self.note(f"{name}: {file}")
            return network.to(self.device)
        if self.seed is not None:
            self.note(f"{name}: seed {self.seed}, as given")
            return make(self.seed).to(self.device)
        for seed in SEEDS:
            network = make(seed)
            if what := fits(network):
                self.note(f"{name}: seed {seed}, whose {what} fits {golden.name}")
                return network.to(self.device)
        raise ConfigError(
            f"no seed of {SEEDS.start} to {SEEDS.stop - 1} gives the weights that {golden} was made with: put them "
            f"there as a {ending} file, or name their seed with --seed N"
        )

    def note(self, origin: str) -> None:
        """Where weights came from; the same sentence counts once."""
        if origin not in self.origins:
            self.origins.append(origin)

    def computed_on(self) -> str:
        """A sentence: what the networks compute on."""
        if self.device.type == "cpu":
            return "computed in float32 on the CPU"
        return f"networks computed in float32, without TF32, on {torch.cuda.get_device_name(self.device)}"

    def pips(self, stride: int = 4) -> Pips:
        """The network at a stride, on the device: the weights fit any."""
        with torch.device("meta"):
            network = Pips(stride)
        network.load_state_dict(self._pips, strict=True, assign=True)
        return network.eval().to(self.device)

    def query_seed(self, golden: Golden) -> int:
        """The seed of a file's query points: given, or the first that draws the pixels that the file clusters."""
        if self.given_query_seed is not None:
            return self.given_query_seed
        case = next((n.partition("/")[0] for n in golden if n.endswith("/pixels_yx")), None)
        if case is None:
            return SEED
        mask = unpack(golden["mask_packed"], tuple(golden["mask_shape"].tolist()))
        theirs = golden[f"{case}/pixels_yx"]
        seeds: tuple[int, ...] = (SEED, *QUERY_SEEDS)
        for seed in seeds:
            if np.array_equal(by_random(mask, len(theirs), TorchSource(seed))[:, ::-1], theirs):
                self.origins.append(f"query points: seed {seed}, which draws the pixels of {case}")
                return seed
        raise ConfigError(
            f"no seed of {QUERY_SEEDS.start} to {QUERY_SEEDS.stop - 1} draws the pixels that {case} clusters: name it "
            "with --query-seed N"
        )

    @cached_property
    def _pips(self) -> dict[str, Tensor]:
        if self.pips_file is not None:
            self.origins.append(f"PIPS: {self.pips_file}")
            return load_pips(self.pips_file).state_dict()
        if self.seed is not None:
            self.origins.append(f"PIPS: seed {self.seed}, as given")
            return pips_weights(self.seed)
        for file in sorted(self.folder.glob("*.pth")):
            try:
                tensors = load_pips(file).state_dict()
            except CheckpointError:
                continue  # of another network
            self.origins.append(f"PIPS: {file}")
            return tensors
        return self._search()

    def _search(self) -> dict[str, Tensor]:
        """The weights of the seed whose first convolution fits."""
        frame, golden, file = self._first_convolution()
        for seed in SEEDS:
            tensors = pips_weights(seed)
            output = functional.conv2d(
                frame, tensors["fnet.conv1.weight"], tensors["fnet.conv1.bias"], stride=2, padding=3
            )
            if (output[0, ::8, ::16, ::16] - golden).abs().max() < CLOSE:
                self.origins.append(f"PIPS: seed {seed}, whose first convolution fits {file.name}")
                return tensors
        raise ConfigError(
            f"no seed of {SEEDS.start} to {SEEDS.stop - 1} gives the weights that {file} was made with: name them with "
            "--pips-weights FILE.pth, or their seed with --seed N"
        )

    def _first_convolution(self) -> tuple[Tensor, Tensor, Path]:
        """A normalised frame (1, 3, H, W), what the first convolution makes of it, and the file that says so."""
        for file in sorted(self.folder.glob("pips_*.npz")):
            golden = Golden(file)
            for name in (n for n in golden if n.endswith(FIRST)):
                rgb = golden["frames"][0] if "frames" in golden else clip_of(file, self.folder)[0]
                frame = 2 * (torch.from_numpy(rgb).permute(2, 0, 1).unsqueeze(0).float() / 255) - 1
                return frame, torch.from_numpy(golden[name]), file
        raise ConfigError(
            f"no pips_*.npz in {self.folder} holds {FIRST}, which tells the seed of the weights: name them with "
            "--pips-weights FILE.pth, or their seed with --seed N"
        )
