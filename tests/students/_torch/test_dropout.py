"""Dropout that draws four random numbers at once."""

import numpy as np
import pytest
import torch
from skllkd.students import TransformerStudent
from skllkd.students._torch.dropout import Dropout
from torch import nn


def test_drops_a_share_and_keeps_the_mean():
    torch.manual_seed(0)
    given = torch.ones(300, 1001)
    out = Dropout(0.1)(given)
    assert (out == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    kept = out[out != 0]
    assert kept.max() == kept.min()
    assert kept[0].item() == pytest.approx(1 / 0.9, rel=1e-4)
    assert out.mean().item() == pytest.approx(1, abs=0.003)


def test_draws_are_independent_of_each_other():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(40000)) == 0).double().numpy()
    for apart in (1, 2, 3, 4):
        found = np.corrcoef(dropped[:-apart], dropped[apart:])[0, 1]
        assert abs(found) < 0.02
    assert (Dropout(0.5)(torch.ones(40000)) == 0).numpy().mean() != dropped.mean()


def test_lets_gradients_through_where_it_lets_values_through():
    given = torch.ones(999, requires_grad=True)
    out = Dropout(0.25)(given)
    out.sum().backward()
    torch.testing.assert_close(given.grad, out.detach())


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_does_nothing_when_predicting_or_at_0(p):
    module = Dropout(p)
    if p:
        module.eval()
    given = torch.rand(7, 3)
    torch.testing.assert_close(module(given), given)
    assert module(torch.empty(0, 4)).shape == (0, 4)


def test_replaces_the_encoder_s_own(news, tiny_path):
    student = TransformerStudent(tiny_path, dropout=0.25, device="cpu")
    student.begin_fit(news[0][:24], 3, seed=0)
    found = [m for m in student._trainer.model.modules() if isinstance(m, nn.Dropout)]
    assert {type(module) for module in found} == {Dropout}
    assert {module.p for module in found} == {0.1, 0.25}
