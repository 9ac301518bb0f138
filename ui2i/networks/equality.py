"""Whether two networks are the same."""

import torch
from torch import nn


def have_equal_tensors(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks on one device have the same parameters and buffers: names, shapes and values."""
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
