"""A folder of golden files in, the weights that they were made with out: given, lying there, or drawn from a seed.

Golden numbers need no trained weights. The networks are filled with random numbers from a seed that the files do not
tell, but each seed gives another first convolution: the first 64 are tried on the golden values of its output.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nodes.tracker.pips.checkpoint import load_pips
from nodes.tracker.pips.network import Pips
from stream.errors import CheckpointError, ConfigError
from tools.goldens.rows import Golden, clip_of
from tools.goldens.weights import pips_weights

SEEDS = range(64)
CLOSE = 1e-4  # two seeds differ by about 1
FIRST = "enc_conv1_sub"  # of frame 0, every 8th channel, every 16th row and column


class Weights:
    """The weights of a folder's golden files, found when the first comparison asks for them."""

    def __init__(self, folder: Path, pips_file: Path | None = None, seed: int | None = None) -> None:
        self.folder = folder
        self.pips_file = pips_file
        self.seed = seed
        self.told: list[str] = []  # where the weights came from, a sentence each

    def pips(self, stride: int = 4) -> Pips:
        """The network at a stride: the weights fit any."""
        with torch.device("meta"):
            network = Pips(stride)
        network.load_state_dict(self._pips, strict=True, assign=True)
        return network.eval()

    @cached_property
    def _pips(self) -> dict[str, Tensor]:
        if self.pips_file is not None:
            self.told.append(f"PIPS: {self.pips_file}")
            return load_pips(self.pips_file).state_dict()
        if self.seed is not None:
            self.told.append(f"PIPS: seed {self.seed}, as told")
            return pips_weights(self.seed)
        for file in sorted(self.folder.glob("*.pth")):
            try:
                found = load_pips(file).state_dict()
            except CheckpointError:
                continue  # of another network
            self.told.append(f"PIPS: {file}")
            return found
        return self._search()

    def _search(self) -> dict[str, Tensor]:
        """The weights of the seed whose first convolution fits."""
        frame, golden, file = self._first_convolution()
        for seed in SEEDS:
            drawn = pips_weights(seed)
            got = functional.conv2d(frame, drawn["fnet.conv1.weight"], drawn["fnet.conv1.bias"], stride=2, padding=3)
            if (got[0, ::8, ::16, ::16] - golden).abs().max() < CLOSE:
                self.told.append(f"PIPS: seed {seed}, whose first convolution fits {file.name}")
                return drawn
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
