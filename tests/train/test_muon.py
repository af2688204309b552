"""The optimizer that makes the steps of matrices orthogonal."""

import pytest
import torch
from torch import nn

from train.loop import parameter_groups
from train.muon import Muon, orthogonal


@pytest.mark.parametrize("products", [torch.float, torch.bfloat16])
@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (32, 32)])
def test_a_step_turns_in_every_direction_alike(shape, products):
    torch.manual_seed(0)
    turned = orthogonal(torch.randn(shape), products)
    assert turned.dtype == torch.float
    values = torch.linalg.svdvals(turned)
    assert values.min() > 0.5 and values.max() < 1.3


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.GELU(), nn.Flatten(), nn.Linear(16, 64), nn.Linear(64, 16))


def test_matrices_and_convolutions_step_as_far_as_with_adamw():
    net = network()
    optimizer = Muon(parameter_groups(net, 0.0, orthogonal=True), lr=1e-2)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    net(torch.rand(8, 3, 3, 3)).square().mean().backward()
    optimizer.step()
    for name, parameter in net.named_parameters():
        step = (parameter.detach() - before[name]).square().mean().sqrt()
        # AdamW's first step is the learning rate in every entry; a matrix's has the usual size of later ones.
        assert (0.1e-2 < step < 0.4e-2) if parameter.ndim > 1 else step == pytest.approx(1e-2, rel=1e-3), name


def test_what_gets_no_gradient_stays_whatever_its_momentum():
    net = network()
    optimizer = Muon(parameter_groups(net, 0.05, orthogonal=True), lr=1e-2)
    net(torch.rand(8, 3, 3, 3)).square().mean().backward()
    optimizer.step()
    before = net[3].weight.detach().clone()
    optimizer.zero_grad()
    net[3].weight.grad = torch.zeros_like(net[3].weight)
    optimizer.step()
    assert torch.equal(net[3].weight, before)
