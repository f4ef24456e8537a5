"""Family `llada`: LLaDA-8B-Base, LLaDA-8B-Instruct and LLaDA-1.5, which are Llama without the causal mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dllmkit.models.family import Architecture, SpecialTokens
from dllmkit.models.fields import Fields
from dllmkit.models.names import TensorNames

_BLOCK = {
    "attn_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_norm": "post_attention_layernorm",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
NAMES = TensorNames(
    {
        "model.transformer.wte.weight": "model.embed_tokens.weight",
        "model.transformer.ln_f.weight": "model.norm.weight",
        "model.transformer.ff_out.weight": "lm_head.weight",
        **{f"model.transformer.blocks.{{}}.{a}.weight": f"model.layers.{{}}.{b}.weight" for a, b in _BLOCK.items()},
    }
)
_END_OF_TEXT, _END_OF_TURN = (
    126081,
    126348,
)  # <|endoftext|> and the chat terminator <|eot_id|> of the published vocabulary


class Llada:
    """LLaDA (arXiv 2502.09992); field names as in `configuration_llada.py` on the hub."""

    name = "llada"

    def recognises(self, config: Mapping[str, Any]) -> bool:
        """Say whether `model_type` is "llada"."""
        return config.get("model_type") == "llada"

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """Map the config onto LlamaConfig; ModelError for fields that Llama cannot express."""
        read = Fields(self.name, config)
        read.only(block_type=("llama",), layer_norm_type=("rms",), activation_type=("silu",), rope=(True,))
        off = (False, None)
        read.only(alibi=off, include_bias=off, include_qkv_bias=off, bias_for_layer_norm=off, attention_layer_norm=off)
        read.only(input_emb_norm=off, scale_logits=off, multi_query_attention=off, layer_norm_with_affine=(True, None))
        read.only(block_group_size=(1, None))
        width, heads = read.integer("d_model"), read.integer("n_heads")
        kv_heads = read.integer("n_kv_heads", heads)
        vocab = read.integer("embedding_size", config.get("vocab_size"))  # the authors' rule for the embedding's rows
        read.divides("n_heads", "d_model", heads, width)
        read.divides("n_kv_heads", "n_heads", kv_heads, heads)
        fields = {
            "vocab_size": vocab,
            "hidden_size": width,
            "intermediate_size": read.integer("mlp_hidden_size", read.integer("mlp_ratio", 4) * width),
            "num_hidden_layers": read.integer("n_layers"),
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": read.integer("max_sequence_length"),
            "rms_norm_eps": read.number("rms_norm_eps"),
            "rope_parameters": {"rope_type": "default", "rope_theta": read.number("rope_theta")},
            "tie_word_embeddings": read.flag("weight_tying", True),
        }
        eos = read.ends("eos_token_id", vocab, turn=_END_OF_TURN, text=_END_OF_TEXT)
        rotary: Literal["float32", "model"] = "float32" if read.flag("rope_full_precision", True) else "model"
        special = SpecialTokens(read.token("mask_token_id", vocab), eos, read.optional_token("pad_token_id", vocab))
        read.check()

        from transformers import LlamaConfig, LlamaForCausalLM

        llama = LlamaConfig(**fields, bos_token_id=None, eos_token_id=None, pad_token_id=None)
        return Architecture(
            family=self.name,
            config=llama,
            model_class=LlamaForCausalLM,
            rename=NAMES,
            special=special,
            shift=0,
            sampler="gumbel",
            released_confidence="float64",
            rotary=rotary,
            max_length=llama.max_position_embeddings,
        )
