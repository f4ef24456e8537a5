"""Training runs, resumes and exports; the export computes what transformers' Llama computes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from dllmkit.tiny.evaluate import score
from dllmkit.tiny.export import export, llada_name
from dllmkit.tiny.network import Network, Shape
from dllmkit.tiny.optimizer import orthogonalise
from dllmkit.tiny.problems import evaluation_set
from dllmkit.tiny.sampler import decode
from dllmkit.tiny.tokenizer import build_tokenizer
from dllmkit.tiny.train import parser, run

_LLAMA = {
    "wte": "model.embed_tokens",
    "ln_f": "model.norm",
    "head": "lm_head",
    "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm",
    "attn_out": "self_attn.o_proj",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
    **{f"{x}_proj": f"self_attn.{x}_proj" for x in "qkv"},
}


def _llama_name(name: str) -> str:
    parts = [_LLAMA.get(part, part) for part in name.split(".")]
    return ".".join(parts).replace("blocks.", "model.layers.")


def test_twenty_steps_train_resume_and_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--d-model", "32", "--n-layers", "2", "--n-heads", "2", "--mlp-hidden-size", "64", "--batch-tokens", "512"]
    common = ["--out", str(tmp_path), "--no-compile", "--eval-minutes", "inf", "--log-steps", "5", *small]
    first = run(parser().parse_args([*common, "--steps", "10"]))
    second = run(parser().parse_args([*common, "--steps", "20", "--resume"]))
    assert (first.step, second.step, second.restarts) == (10, 20, 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert [line.split()[1] for line in lines] == ["5", "10", "15", "20"]
    folder = tmp_path / "checkpoint"
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["d_model"], config["n_layers"]) == ("llada", 32, 2)
    tensors = load_file(folder / "model.safetensors")
    assert set(tensors) == {llada_name(name) for name in second.parameters}
    assert all(tensor.dtype == torch.bfloat16 and tensor.isfinite().all() for tensor in tensors.values())


def test_twenty_steps_lower_the_loss(tmp_path: Path) -> None:
    options = [
        "--out",
        str(tmp_path),
        "--no-compile",
        "--eval-minutes",
        "inf",
        "--batch-tokens",
        "1024",
        "--steps",
        "20",
    ]
    shape = ["--d-model", "64", "--n-layers", "1", "--n-heads", "1", "--mlp-hidden-size", "64"]
    trainer = run(parser().parse_args([*options, *shape]))
    tokenizer = trainer.tokenizer
    problem = evaluation_set(1, seed=0)[0]
    ids = torch.tensor([tokenizer(problem.answer)["input_ids"]])
    hidden = torch.full_like(ids, int(tokenizer.mask_token_id))
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(trainer.network.logits(hidden)[0], ids[0])
    assert float(loss) < math.log(len(tokenizer))


def test_export_equals_llama(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    shape = Shape(len(tokenizer), d_model=64, n_layers=3, n_heads=2, mlp_hidden_size=96)
    network = Network(shape)
    export(network.state_dict(), shape, tokenizer, tmp_path, torch.float32)
    stored = load_file(tmp_path / "model.safetensors")
    config = LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.d_model,
        intermediate_size=shape.mlp_hidden_size,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        rms_norm_eps=shape.rms_norm_eps,
        max_position_embeddings=shape.max_sequence_length,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )
    llama = LlamaForCausalLM(config).eval()
    llama.load_state_dict({_llama_name(name): stored[llada_name(name)] for name in network.state_dict()})
    tokens = torch.randint(0, shape.vocab_size, (2, 70))
    with torch.no_grad():
        full = torch.zeros(2, 1, 70, 70)  # an additive mask of zeros: every position sees every other
        torch.testing.assert_close(
            network.logits(tokens), llama(tokens, attention_mask=full).logits, atol=1e-4, rtol=1e-4
        )


def test_sampler_finds_an_answer_that_the_model_knows() -> None:
    tokenizer = build_tokenizer()
    answer = tokenizer("#### 7")["input_ids"]
    prompts = ["Compute: 3 + 4.", "Sort up: 5, 3."]

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        out = torch.zeros(*tokens.shape, len(tokenizer))
        separator = tokenizer.convert_tokens_to_ids("<|answer|>")
        for row, start in enumerate((tokens == separator).int().argmax(1).tolist()):
            for i in range(start + 1, tokens.shape[1]):
                at = i - start - 1
                out[row, i, answer[at] if at < len(answer) else tokenizer.eos_token_id] = 5.0
        return out

    assert decode(logits, tokenizer, prompts, canvas=40) == ["#### 7", "#### 7"]


def test_newton_schulz_gives_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for size in ((3, 64, 32), (3, 32, 64)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(size)).float())
        assert values.min() > 0.4
        assert values.max() < 1.5


def test_scores() -> None:
    problems = evaluation_set(10, seed=0)
    table = score(problems, [problem.answer for problem in problems[:5]] + ["nonsense"] * 5)
    assert table["all"]["right"] == 5
    assert table["all"]["problems"] == 10
