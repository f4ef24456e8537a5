"""Family `dream`: Dream-v0-Base-7B and Dream-v0-Instruct-7B, which are Qwen2 without the causal mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllmkit.models.family import Architecture, SpecialTokens
from dllmkit.models.fields import Fields
from dllmkit.models.names import SameNames

_END_OF_TEXT, _END_OF_TURN = 151643, 151645  # <|endoftext|> and the chat terminator <|im_end|> of Qwen's vocabulary


class Dream:
    """Dream (arXiv 2508.15487); field names as in `configuration_dream.py` on the hub."""

    name = "dream"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Say whether `model_type` is "Dream"."""
        return config.get("model_type") == "Dream"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Map the config onto Qwen2Config; ModelError for fields that are not supported."""
        read = Fields(self.name, config)
        off = (False, None)
        read.only(hidden_act=("silu",), rope_scaling=(None,), use_sliding_window=off, use_mrope=off)
        width, heads = read.integer("hidden_size"), read.integer("num_attention_heads")
        kv_heads = read.integer("num_key_value_heads", heads)
        vocab = read.integer("vocab_size")
        read.divides("num_attention_heads", "hidden_size", heads, width)
        read.divides("num_key_value_heads", "num_attention_heads", kv_heads, heads)
        fields = {
            "vocab_size": vocab,
            "hidden_size": width,
            "intermediate_size": read.integer("intermediate_size"),
            "num_hidden_layers": read.integer("num_hidden_layers"),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": read.integer("max_position_embeddings"),
            "rms_norm_eps": read.number("rms_norm_eps"),
            "rope_parameters": {"rope_type": "default", "rope_theta": read.number("rope_theta")},
            "tie_word_embeddings": read.flag("tie_word_embeddings", False),
        }
        eos = read.ends("eos_token_id", vocab, turn=_END_OF_TURN, text=_END_OF_TEXT)
        special = SpecialTokens(read.token("mask_token_id", vocab), eos, read.optional_token("pad_token_id", vocab))
        read.check()

        from transformers import Qwen2Config, Qwen2ForCausalLM

        qwen = Qwen2Config(**fields, use_sliding_window=False, bos_token_id=None, eos_token_id=None, pad_token_id=None)
        return Architecture(
            family=self.name,
            config=qwen,
            model_class=Qwen2ForCausalLM,
            rename=SameNames(),
            special=special,
            shift=1,
            sampler="categorical",
            released_confidence="logits",
            rotary="model",
            max_length=qwen.max_position_embeddings,
            tokenizer_class="Qwen2Tokenizer",
        )
