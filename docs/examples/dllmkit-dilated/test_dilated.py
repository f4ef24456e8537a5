import pytest
from dllmkit_dilated import Dilated

from dllmkit.errors import ParameterError
from dllmkit.testing.toy import toy_decode, toy_model, toy_policy

PROMPTS = [[5, 6, 7], [8, 9], [3] * 12]
POLICY = toy_policy(block_scheduler=Dilated(block_length=8, stride=4))


def test_positions_committed_together_are_far_from_each_other():
    _, steps = toy_decode(toy_model(), PROMPTS, POLICY, gen_length=20)
    for step in steps:
        phases = (step.eligible - step.prompt_length) % 4
        assert len(set(phases.tolist())) == 1


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("gen_length", [1, 8, 20])
def test_a_batch_gives_what_single_runs_give(shift, gen_length):
    model = toy_model(shift=shift)
    alone = [toy_decode(model, [prompt], POLICY, gen_length=gen_length)[0][0] for prompt in PROMPTS]
    together, _ = toy_decode(model, PROMPTS, POLICY, gen_length=gen_length, batch_size=3)
    assert [row.canvas.tolist() for row in together] == [row.canvas.tolist() for row in alone]
    assert [row.nfe for row in together] == [row.nfe for row in alone]


def test_stride_1_is_fixed_blocks():
    usual, _ = toy_decode(toy_model(), PROMPTS, toy_policy(), gen_length=20)  # blocks of 8
    ours, _ = toy_decode(toy_model(), PROMPTS, toy_policy(block_scheduler=Dilated(8, stride=1)), gen_length=20)
    assert [row.canvas.tolist() for row in ours] == [row.canvas.tolist() for row in usual]


def test_a_parameter_out_of_range_is_named():
    with pytest.raises(ParameterError, match="stride = 0, expected >= 1"):
        Dilated(stride=0)
