"""The conformance check of model families: what must hold before a checkpoint of the family is decoded with."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dllmkit.models.checkpoint import load_network, read_config, recognise, save_checkpoint
from dllmkit.models.family import Architecture, ModelFamily

if TYPE_CHECKING:
    import torch

    from dllmkit.models.model import DiffusionModel

Reference = Callable[["torch.Tensor"], "torch.Tensor"]
"""The published formulation: token ids [1, length] to logits [1, length, vocabulary], row i predicting position i."""


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; `detail` says what was seen."""

    name: str
    passed: bool
    detail: str


def check_family(
    folder: Path,
    family: ModelFamily,
    *,
    reference: Reference | None = None,
    sample: Sequence[int] | None = None,
    given: int = 0,
    length: int = 96,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> tuple[Finding, ...]:
    """Run every check on a checkpoint folder of the family, and raise AssertionError that lists what failed.

    `reference` is the authors' own forward in float64, shifted as their decoding code shifts it; `sample` is text in token
    ids that a trained checkpoint knows well, of which the first `given` are a prompt and stay visible. Without either the
    shift is taken on trust. `tolerance` is relative to the largest logit and applies to `reference` only; everything else
    must agree to 1e-9, or exactly.
    """
    import torch

    architecture = recognise(read_config(folder), [family])
    network = load_network(folder, architecture, torch.device("cpu"), torch.float64)
    generator = torch.Generator().manual_seed(seed)
    length = min(length, architecture.max_length)
    tokens = torch.randint(0, architecture.config.vocab_size, (length,), generator=generator)
    tokens[torch.rand(length, generator=generator) < 0.4] = architecture.special.mask_id

    findings = [special_tokens(architecture)]
    with torch.inference_mode():
        plain = class_logits(network, tokens)
        findings += [bidirectional(network, tokens), finite(folder, architecture, tokens)]
        findings += round_trips(folder, architecture)
        findings += decoding(network, architecture, tokens, plain)
        if reference is not None:
            findings.append(published(plain, reference(tokens[None])[0], architecture.shift, tolerance))
        if sample is not None:
            findings.append(alignment(network, architecture, torch.tensor(sample), generator, given))
    failed = [f"{finding.name}: {finding.detail}" for finding in findings if not finding.passed]
    if failed:
        raise AssertionError(f"family '{architecture.family}' on {folder} fails\n  " + "\n  ".join(failed))
    return tuple(findings)


def class_logits(network: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of the transformers class itself under a full mask: [length] to [length, vocabulary]."""
    import torch

    n = len(tokens)
    network.config._attn_implementation = "sdpa"
    logits: torch.Tensor = network(tokens[None], attention_mask=torch.ones(1, 1, n, n, dtype=torch.bool)).logits[0]
    return logits


def special_tokens(architecture: Architecture) -> Finding:
    """The mask token is in the vocabulary and does not end answers; something else does."""
    special, rows = architecture.special, architecture.config.vocab_size
    passed = 0 <= special.mask_id < rows and special.mask_id not in special.eos_ids
    passed = passed and len(special.eos_ids) > 0 and all(0 <= i < rows for i in special.eos_ids)
    return Finding("special tokens", passed, f"{special}, {rows} rows")


def bidirectional(network: Any, tokens: torch.Tensor) -> Finding:
    """A change of the last token reaches the first row, and the other way round."""
    before, moved = class_logits(network, tokens), []
    for changed, seen in ((len(tokens) - 1, 0), (0, len(tokens) - 1)):
        other = tokens.clone()
        other[changed] = (other[changed] + 1) % network.config.vocab_size
        moved.append(float((class_logits(network, other)[seen] - before[seen]).abs().max()))
    return Finding(
        "bidirectional attention", min(moved) > 0, f"the first row moved by {moved[0]:.2g}, the last by {moved[1]:.2g}"
    )


def finite(folder: Path, architecture: Architecture, tokens: torch.Tensor) -> Finding:
    """Logits are finite in every dtype that models are run in."""
    import torch

    broken = []
    for dtype in (torch.float32, torch.bfloat16):
        network = load_network(folder, architecture, torch.device("cpu"), dtype)
        if not class_logits(network, tokens).isfinite().all():
            broken.append(str(dtype))
    return Finding(
        "finite logits", not broken, f"NaN or infinite in {', '.join(broken)}" if broken else "float32, bfloat16"
    )


def round_trips(folder: Path, architecture: Architecture) -> Iterator[Finding]:
    """Saved under the published names, in one file or in shards, and loaded again: every bit is the same."""
    import torch

    first = load_network(folder, architecture, torch.device("cpu"), None)
    for shards in (1, 3):
        with tempfile.TemporaryDirectory() as name:
            copy = Path(name)
            save_checkpoint(first, architecture, read_config(folder), copy, shards)
            again = load_network(copy, architecture, torch.device("cpu"), None).state_dict()
        differ = [key for key, tensor in first.state_dict().items() if not torch.equal(tensor, again[key])]
        yield Finding(
            f"save and load, {shards} file(s)", not differ, f"differ: {differ[:4]}" if differ else "bit-exact"
        )


def decoding(network: Any, architecture: Architecture, tokens: torch.Tensor, plain: torch.Tensor) -> Iterator[Finding]:
    """The engine's forward is the class's, and reading a third of the positions from the KV store changes nothing."""
    import torch

    from dllmkit.models.model import DiffusionModel

    model = DiffusionModel.wrap(network, architecture)
    everything = list(range(len(tokens)))
    full = engine_logits(model, tokens, everything, model.new_kv(1, len(tokens)))
    yield _equal("the engine's forward", full, plain)
    kv = model.new_kv(1, len(tokens))
    engine_logits(model, tokens, everything, kv)
    some = [i for i in everything if i % 3]
    yield _equal("cached = full", engine_logits(model, tokens, some, kv), plain[torch.tensor(some)])


def engine_logits(model: DiffusionModel, tokens: torch.Tensor, query: Sequence[int], kv: Any) -> torch.Tensor:
    """Logits of the query rows of one sequence, all of which is visible: [len(query), vocabulary].

    `query` is sorted; positions outside it are read from `kv`, which must hold them, and holds the query afterwards.
    """
    from types import SimpleNamespace

    import numpy as np

    from dllmkit.inputs import prepare
    from dllmkit.plan import pack
    from dllmkit.signals import Signals
    from dllmkit.state import Request, Row

    row = Row(Request(0, tuple(tokens[:-1].tolist()), 1, int(tokens[-1])))  # a canvas of exactly these tokens
    row.visible, row.query = np.arange(len(tokens)), np.array(query)
    row.eligible = row.query[-1:]
    lane: Any = SimpleNamespace(row=row, slot=0, idle=0, selection=SimpleNamespace(inputs=lambda row: (), patience=1))
    (plan,) = pack([lane], kv)
    inputs = prepare(plan, kv, model.new_memory(Signals(), 1, lane.row.length, stored=True))
    return model.logits(model.forward(inputs, Signals()).states[0])


def published(plain: torch.Tensor, reference: torch.Tensor, shift: int, tolerance: float) -> Finding:
    """Row i - shift is the authors' prediction of position i."""
    ours, theirs = plain[: len(plain) - shift], reference[shift:]
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    return Finding(
        "published formulation", error <= tolerance, f"relative difference {error:.2g}, {tolerance:.2g} allowed"
    )


def alignment(
    network: Any, architecture: Architecture, sample: torch.Tensor, generator: torch.Generator, given: int = 0
) -> Finding:
    """On text that the model knows, masked tokens are likelier under the family's shift than under any other."""
    import torch

    hidden = torch.rand(len(sample), generator=generator) < 0.15
    hidden[[0, 1, -2, -1]] = False
    hidden[:given] = False  # a model trained on answers alone has never seen a prompt with masks in it
    if not hidden.any():
        hidden[(given + len(sample)) // 2] = True
    masked = torch.where(hidden, architecture.special.mask_id, sample)
    positions = hidden.nonzero().squeeze(1)
    likelihood = class_logits(network, masked).log_softmax(dim=-1)
    loss = {shift: float(-likelihood[positions - shift, sample[positions]].mean()) for shift in (-1, 0, 1, 2)}
    best = min(loss, key=lambda shift: loss[shift])
    seen = ", ".join(f"shift {shift}: {nats:.2f} nats" for shift, nats in loss.items())
    return Finding("logit alignment", best == architecture.shift, f"declared {architecture.shift}; {seen}")


def _equal(name: str, ours: torch.Tensor, theirs: torch.Tensor) -> Finding:
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    return Finding(name, error <= 1e-9, f"relative difference {error:.2g}")
