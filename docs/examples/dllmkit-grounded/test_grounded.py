import pytest
import torch
from dllmkit_grounded import Grounded

from dllmkit.proposal import KeyColumns, Proposal
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy

PROMPTS = [[5, 6, 7], [8, 9], [3] * 12]


def test_attention_on_masks_holds_a_token_back():
    proposal = Proposal(
        positions=torch.tensor([[2, 3, 4]]),
        eligible=torch.tensor([[True, True, True]]),
        tokens=torch.tensor([[7, 7, 7]]),
        confidence=torch.tensor([[0.9, 0.9, 0.5]]),
        inputs=torch.empty(1, 0),
        # rows: the three eligible positions; columns: positions 0 to 4, of which 0 and 1 are committed
        attention=torch.tensor([[[0.5, 0.4, 0.1, 0, 0], [0.1, 0.1, 0.6, 0.1, 0.1], [0.5, 0.5, 0, 0, 0]]]),
        keys=KeyColumns(
            positions=torch.tensor([[0, 1, 2, 3, 4]]),
            committed=torch.tensor([[True, True, False, False, False]]),
            proposed=torch.tensor([[2, 3, 4]]),
        ),
    )
    assert Grounded(tau=0.7, most_open=0.3).select(proposal).tolist() == [[True, False, False]]
    assert Grounded(tau=0.7, most_open=1.0).select(proposal).tolist() == [[True, True, False]]


@pytest.mark.parametrize("shift", [0, 1])
def test_a_batch_gives_what_single_runs_give(shift):
    model, policy = toy_model(shift=shift), toy_policy(unmask_selector=Grounded(tau=0.3))
    alone = [toy_decode(model, [prompt], policy, gen_length=20)[0][0] for prompt in PROMPTS]
    together, _ = toy_decode(model, PROMPTS, policy, gen_length=20, batch_size=3)
    assert [row.canvas.tolist() for row in together] == [row.canvas.tolist() for row in alone]
    assert [row.nfe for row in together] == [row.nfe for row in alone]
