"""Networks without numbers: the same names and shapes, and neither memory nor time."""

import subprocess
import sys

import pytest
import torch

from ui2i.networks.blank import blank_network
from ui2i.networks.discriminator import Discriminator
from ui2i.networks.generator import Generator
from ui2i.settings import NetworkConfig


@pytest.mark.parametrize("network_type", [Generator, Discriminator])
def test_names_shapes_and_gradients_are_those_of_the_network(
    network_config: NetworkConfig, network_type: type[Generator] | type[Discriminator]
) -> None:
    blank, real = blank_network(network_type, network_config), network_type(network_config)
    for ours, theirs in (
        (blank.named_parameters(), real.named_parameters()),
        (blank.named_buffers(), real.named_buffers()),
    ):
        assert [(name, value.shape, value.dtype, value.requires_grad) for name, value in ours] == [
            (name, value.shape, value.dtype, value.requires_grad) for name, value in theirs
        ]
    assert all(value.is_meta for value in blank.state_dict().values())


def test_no_random_number_is_used(network_config: NetworkConfig) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    blank_network(Generator, network_config)
    assert torch.equal(torch.rand(3), expected)


def test_torch_s_compiler_is_not_imported() -> None:
    code = (
        "import sys; from ui2i.settings import NetworkConfig; from ui2i.networks.blank import blank_network;"
        "from ui2i.networks.generator import Generator; before = len(sys.modules);"
        "blank_network(Generator, NetworkConfig(img_resolution=1024)); print(len(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10
