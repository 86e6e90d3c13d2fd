"""TapNet's published file in, the network out; of the pickle in it only arrays are taken, and none of its code is run.

The file is a NumPy array that holds a pickled tree: `params` and `state`, each module -> name -> array. That of the
authors also holds the state of their optimiser, as objects of their packages: those are read as empty boxes. Whatever
else a pickle may name is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from nodes.tracker.tapnet.network import TapNet
from stream.errors import CheckpointError
from stream.weights.loading import check_head, load_strictly

WEIGHTS = "tapnet"  # their name in tools/fetch_weights.py
NEEDS = f"`python tools/fetch_weights.py {WEIGHTS}` gets the right file"
ROOT = "tap_net/~/"
BACKBONE = ROOT + "tsm_resnet_video/"
UNUSED = ("counter", "hidden")  # how the moving averages were made
LEAVES = {"w": "weight", "b": "bias", "scale": "weight", "offset": "bias"}
OPTIMISERS = ("optax", "haiku", "jax", "jaxlib", "chex", "tapnet", "jaxline")  # packages of the authors' training
NUMPY = {  # what a pickled array is made of
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class Box:
    """What stands for an object of the optimiser; it holds nothing and does nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> Box:
        """Whatever it is made of, it is empty."""
        return super().__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class ArrayUnpickler(pickle.Unpickler):
    """Builds dictionaries, lists, numbers and arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The few things that arrays are made of; UnpicklingError for any other."""
        module = module.replace("numpy.core", "numpy._core")  # its name before NumPy 2
        if (module, name) in NUMPY:
            return super().find_class(module, name)
        if module.partition(".")[0] in OPTIMISERS:
            return Box
        raise pickle.UnpicklingError(f"GLOBAL {module}.{name}")


def load_tapnet(path: Path) -> TapNet:
    """The network with the weights of a checkpoint, on the CPU, in float32; CheckpointError says what is wrong."""
    file = path.expanduser()
    with torch.device("meta"):  # weights that are replaced at once need no memory and no random numbers
        network = TapNet()
    load_strictly(network, to_tensors(read_tree(file), network, file), file, WEIGHTS)
    return network.eval()


def read_tree(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of a file, module/name -> array, without those that only training needs."""
    check_head(path, WEIGHTS)
    try:
        with path.open("rb") as file:
            _skip_header(file)
            tree = ArrayUnpickler(file).load()
            content = tree if isinstance(tree, Mapping) else tree.item()
        return dict(_leaves(content))
    except Exception as error:  # bytes from anywhere break an unpickler in many ways
        asked = str(error)
        if asked.startswith("GLOBAL "):
            raise CheckpointError(
                f"{path} holds more than arrays: it calls for {asked.removeprefix('GLOBAL ')[:80]}. Refused, none of "
                f"it was run; {NEEDS}"
            ) from None
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) is cut short, damaged, or no checkpoint of TapNet. Refused, none of "
            f"it was run; {NEEDS}"
        ) from None


def _skip_header(file: IO[bytes]) -> None:
    """Read past the header of the array file, to where its pickle begins."""
    version = np.lib.format.read_magic(file)
    read: Callable[[IO[bytes]], Any] = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    _, _, dtype = read(file)
    if not dtype.hasobject:
        raise ValueError("an array of numbers")


def _leaves(tree: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    for part in ("params", "state"):
        for module, arrays in tree[part].items():
            for name, array in arrays.items():
                if name not in UNUSED:
                    yield f"{module}/{name}", np.asarray(array)


def to_tensors(arrays: Mapping[str, np.ndarray[Any, Any]], network: TapNet, path: Path) -> dict[str, Tensor]:
    """The tensors of the network by its own names; an array of another shape stays as it is, to be refused."""
    tensors = {}
    for name, array in arrays.items():
        own = own_name(name)
        if array.dtype.kind != "f":
            raise CheckpointError(f"{path}: {name} is {array.dtype}, tapnet needs float32; {NEEDS}")
        tensors[own] = _channels_first(torch.from_numpy(np.array(array, np.float32)), own)
    counted = {n: torch.zeros((), dtype=torch.int64) for n in network.state_dict() if n.endswith("num_batches_tracked")}
    return {**tensors, **counted}


def own_name(name: str) -> str:
    """What our network calls an array of the file: `units.0.1.batch_norm.running_mean`."""
    if not name.startswith(ROOT):
        return name
    module, _, leaf = name.removeprefix(ROOT).rpartition("/")
    for statistic, own in (("mean_ema", "running_mean"), ("var_ema", "running_var")):
        if module.endswith(f"/~/{statistic}"):
            module, leaf = module.removesuffix(f"/~/{statistic}"), own
    module = module.removeprefix("tsm_resnet_video/").replace("tsm_resnet_unit_", "units.")
    module = module.replace("tsm_resnet_stem", "stem")
    module = module.replace("/block_", ".").replace("/", ".").removeprefix("cost_volume_")
    return f"{module}.{LEAVES.get(leaf, leaf)}"


def _channels_first(array: Tensor, name: str) -> Tensor:
    """Kernels (..., H, W, in, out) as (out, in, H, W), matrices (in, out) as (out, in), the rest as vectors."""
    if array.ndim == 5 and array.shape[0] == 1:
        array = array[0]
    if ".batch_norm" in name:
        return array.flatten()
    if array.ndim == 4:
        return array.permute(3, 2, 0, 1).contiguous()
    return array.T.contiguous() if array.ndim == 2 else array
