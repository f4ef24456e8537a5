"""Train the bundled model: `python -m dllmkit.tiny.train --out DIR --minutes 100`.

The objective is LLaDA's (arXiv 2502.09992): cross-entropy on masked canvas tokens. Two liberties make it learn sooner at
this size: every masked token counts alike (no 1/t), and most rows are masked the way decoding sees them (`masking`).
One thread is enough: master weights are float32, the compiled step computes in bfloat16, Muon moves the matrices and
AdamW the rest. The learning rate stays flat and decays to zero over the last part of the time or steps given.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedTokenizerFast

from .batches import SHARES, Batch, make_batches
from .export import export
from .network import Network, Shape
from .optimizer import Muon
from .problems import evaluation_set
from .sampler import accuracy
from .tokenizer import build_tokenizer

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def initialise(network: Network, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
    """Random weights with a head start for copying and counting; every weight is trained from there.

    Residual outputs start at zero and the head as a scaled copy of the embedding, so that passing a token on already
    raises its logit. A word with and without its leading space start alike. Number tokens start from sines of their
    value (periods 2 to 200).
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith(("attn_out.weight", "ff_out.weight")):
            nn.init.zeros_(parameter)
        elif parameter.dim() == 2:
            std = 0.3 if name.startswith("wte") else 0.6 * parameter.shape[1] ** -0.5
            nn.init.normal_(parameter, std=std, generator=generator)
    table, vocabulary = network.wte.weight.data, tokenizer.get_vocab()
    angle = 2 * math.pi * torch.arange(100)[:, None] / torch.tensor([2.0, 5.0, 10.0, 20.0, 25.0, 50.0, 100.0, 200.0])
    waves = torch.cat([angle.cos(), angle.sin()], dim=1)[:, : table.shape[1]]
    numbers = [vocabulary[f"Ġ{n}"] for n in range(100)]
    table[numbers] *= 0.5
    table[numbers, : waves.shape[1]] = 1.2 * waves
    for token, spaced in vocabulary.items():
        if token.startswith("Ġ") and token[1:] in vocabulary:
            bare = vocabulary[token[1:]]
            table[bare] = 0.8 * table[spaced] + 0.6 * table[bare]
    network.head.weight.data.copy_(0.1 * table)
    network.head.weight.data[tokenizer.mask_token_id] = 0


class Trainer:
    """Weights, optimizers, averaged weights and progress of one run; `folder/state.pt` holds all of it."""

    def __init__(self, shape: Shape, tokenizer: PreTrainedTokenizerFast, arguments: argparse.Namespace) -> None:
        self.arguments, self.tokenizer = arguments, tokenizer
        self.network = Network(shape)
        initialise(self.network, tokenizer, arguments.seed)
        self.parameters = dict(self.network.named_parameters())
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        hidden = [p for name, p in self.parameters.items() if name.startswith("blocks") and p.dim() == 2]
        outer = [p for name, p in self.parameters.items() if not (name.startswith("blocks") and p.dim() == 2)]
        self.muon = Muon(hidden)
        self.adam = torch.optim.AdamW(outer, lr=arguments.lr_outer, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.step, self.seconds, self.restarts = 0, 0.0, 0

    def loss(self, tokens: Tensor, rows: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean loss, and the loss of every counted position (counted,)."""
        narrow = {name: p.bfloat16() if p.dim() == 2 else p for name, p in self.parameters.items()}
        hidden = functional_call(self.network, narrow, (tokens,)).flatten(0, 1)[rows]
        each = F.cross_entropy(F.linear(hidden, narrow["head.weight"]).float(), targets, reduction="none")
        return (each * weights).sum() / weights.sum(), each.detach()

    def progress(self) -> float:
        """Part of the run that is done, 0 to 1, by steps when they are given, else by minutes."""
        if self.arguments.steps:
            return float(self.step / self.arguments.steps)
        return self.seconds / (60 * float(self.arguments.minutes))

    def update(self, loss: Loss, batch: Batch) -> Tensor:
        """One training step; returns the loss of every counted position (counted,)."""
        total, each = loss(batch.tokens, batch.rows, batch.targets, batch.weights)
        total.backward()  # type: ignore[no-untyped-call]
        factor = min(1.0, (self.step + 1) / 100, (1 - self.progress()) / self.arguments.decay)
        for group in self.adam.param_groups:
            group["lr"] = self.arguments.lr_outer * factor
        self.adam.step()
        self.muon.step(self.arguments.lr * factor)
        for parameter in self.parameters.values():
            parameter.grad = None
        with torch.no_grad():
            # The window of the average shrinks with the rate: at the end the last weights are the best ones.
            window = min(1000.0, 0.1 * self.step) * factor
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 / (1 + window))
        self.step += 1
        return each

    def averaged(self) -> Network:
        """A bfloat16 copy of the network with the averaged weights, as it will be shipped."""
        copy = Network(self.network.shape)
        copy.load_state_dict(self.average)
        for parameter in copy.parameters():
            parameter.data = parameter.data.bfloat16()
        return copy

    def save(self) -> None:
        """Write `state.pt` (atomically) and the exported checkpoint."""
        folder = Path(self.arguments.out)
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average,
            "adam": self.adam.state_dict(),
            "muon": self.muon.buffers,
            "counters": (self.step, self.seconds, self.restarts),
        }
        torch.save(state, folder / "state.part")
        os.replace(folder / "state.part", folder / "state.pt")
        export(self.average, self.network.shape, self.tokenizer, folder / "checkpoint")

    def restore(self) -> None:
        """Continue from `state.pt`."""
        state = torch.load(Path(self.arguments.out) / "state.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.adam.load_state_dict(state["adam"])
        self.muon.buffers = state["muon"]
        self.step, self.seconds, restarts = state["counters"]
        self.restarts = restarts + 1


def run(arguments: argparse.Namespace) -> Trainer:
    """Train until the given steps or minutes are over; saves every few minutes and at the end."""
    folder = Path(arguments.out)
    tokenizer = build_tokenizer()
    if arguments.resume:  # token ids must stay what the weights were trained with
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "checkpoint")
    shape = Shape(
        vocab_size=len(tokenizer),
        d_model=arguments.d_model,
        n_layers=arguments.n_layers,
        n_heads=arguments.n_heads,
        mlp_hidden_size=arguments.mlp_hidden_size,
    )
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(shape, tokenizer, arguments)
    if arguments.resume:
        trainer.restore()
    # Each restart draws a new stream instead of replaying the old one up to here.
    shares = {kind: float(share) for kind, share in (pair.split("=") for pair in arguments.shares)} or SHARES
    batches = make_batches(tokenizer, arguments.seed + 1000 * trainer.restarts, arguments.batch_tokens, shares)
    torch._dynamo.config.recompile_limit = 64  # one graph per bucket
    loss: Loss = torch.compile(trainer.loss, dynamic=False) if arguments.compile else trainer.loss
    losses: dict[str, list[float]] = {}
    saved, judged, tokens = trainer.seconds, trainer.seconds, 0
    while trainer.progress() < 1:
        started = time.monotonic()
        batch = next(batches)
        each = trainer.update(loss, batch)
        _tally(losses, batch, each)
        tokens += batch.tokens.numel()
        trainer.seconds += time.monotonic() - started
        if trainer.step % arguments.log_steps == 0:
            line = " ".join(f"{kind} {sum(values) / len(values):.4f}" for kind, values in sorted(losses.items()))
            print(f"step {trainer.step} minutes {trainer.seconds / 60:.1f} tokens {tokens} {line}", flush=True)
            losses.clear()
        if trainer.seconds - saved > 60 * arguments.save_minutes:
            trainer.save()
            saved = trainer.seconds
        if trainer.seconds - judged > 60 * arguments.eval_minutes:
            judged = trainer.seconds
            _judge(trainer)
    trainer.save()
    if arguments.eval_minutes < math.inf:
        _judge(trainer)
    return trainer


def _tally(losses: dict[str, list[float]], batch: Batch, each: Tensor) -> None:
    row = batch.rows // batch.tokens.shape[1]
    heavy = batch.weights > 0.9
    for kind in set(batch.kinds):
        mine = torch.tensor([k == kind for k in batch.kinds])[row] & heavy
        if mine.any():
            losses.setdefault(kind, []).append(float(each[mine].mean()))


def _judge(trainer: Trainer) -> None:
    problems = evaluation_set(60, seed=trainer.step)
    table = accuracy(trainer.averaged().logits, trainer.tokenizer, problems)
    right, total = (sum(pair[i] for pair in table.values()) for i in (0, 1))
    kinds = " ".join(f"{kind} {r}/{n}" for kind, (r, n) in sorted(table.items()))
    print(f"accuracy at step {trainer.step}: {right}/{total} {kinds}", flush=True)


def parser() -> argparse.ArgumentParser:
    """Command-line options; the defaults are those of the bundled checkpoint."""
    options = argparse.ArgumentParser(prog="python -m dllmkit.tiny.train", description="Train the bundled model.")
    options.add_argument("--out", required=True, help="folder for state.pt and checkpoint/")
    options.add_argument("--minutes", type=float, default=75, help="length of the run in training minutes")
    options.add_argument("--steps", type=int, default=0, help="length of the run in steps, instead of minutes")
    options.add_argument("--resume", action="store_true", help="continue from DIR/state.pt")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--d-model", type=int, default=256)
    options.add_argument("--n-layers", type=int, default=5)
    options.add_argument("--n-heads", type=int, default=4)
    options.add_argument("--mlp-hidden-size", type=int, default=512)
    options.add_argument("--batch-tokens", type=int, default=4096)
    options.add_argument("--lr", type=float, default=0.01, help="Muon, hidden matrices")
    options.add_argument("--lr-outer", type=float, default=3e-3, help="AdamW, embedding, head and norms")
    options.add_argument("--decay", type=float, default=0.65, help="part of the run over which the rate falls to zero")
    options.add_argument("--shares", nargs="*", default=[], metavar="KIND=SHARE", help="other shares of the kinds")
    options.add_argument("--log-steps", type=int, default=100)
    options.add_argument("--save-minutes", type=float, default=4)
    options.add_argument("--eval-minutes", type=float, default=10)
    options.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    return options


if __name__ == "__main__":
    run(parser().parse_args())
