"""Compiling parts of a network: who gets it, and what a machine without a compiler says."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from stream.errors import ConfigError
from stream.weights.compiling import compile_parts, is_wished

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def compiler(monkeypatch):
    """Marks modules as compiled, and compiles none."""
    monkeypatch.setattr(nn.Module, "compile", lambda self: setattr(self, "_compiled_call_impl", self.forward))


@pytest.mark.parametrize(
    ("wish", "device", "dtype", "wished"),
    [
        ("auto", CUDA, torch.float16, True),
        ("auto", CUDA, torch.float32, False),  # the reference's own numbers
        ("auto", CPU, torch.bfloat16, False),
        (True, CPU, torch.float32, True),
        (False, CUDA, torch.float16, False),
    ],
)
def test_auto_compiles_half_precision_on_a_gpu(wish, device, dtype, wished):
    assert is_wished(wish, device, dtype) == wished


def test_parts_are_compiled_before_they_are_tried_out(compiler):
    part = nn.Linear(2, 2)
    tried = []
    compile_parts("decoder.compile", "auto", [part], lambda: tried.append(part._compiled_call_impl))
    assert tried == [part.forward]


def fail():
    raise RuntimeError("no C++ compiler\nand more lines")


def test_a_machine_that_cannot_compile_goes_on_without_and_says_so(caplog, compiler):
    part = nn.Linear(2, 2)
    with caplog.at_level(logging.WARNING):
        compile_parts("tracker.compile", "auto", [part], fail)
    assert part._compiled_call_impl is None
    [line] = caplog.messages
    assert line == "tracker.compile is auto, and PyTorch can't compile here: no C++ compiler; it runs without, slower"


def test_what_was_asked_for_and_cannot_be_is_an_error(compiler):
    with pytest.raises(ConfigError, match=r"^decoder.compile is true.*no C\+\+ compiler; set it to false$"):
        compile_parts("decoder.compile", True, [nn.Linear(2, 2)], fail)
