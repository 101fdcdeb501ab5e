"""Well-known models: their config.json, as far as sizes go, and their published sizes.

The configurations are those of the main branch on huggingface.co; ``parameters`` is what the
Hub says of the safetensors files (``safetensors.total`` of ``/api/models/NAME``), unless the
entry names another source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """A model as it was published."""

    name: str
    parameters: int
    config: dict[str, Any]
    source: str = ""


def _llama(**more: Any) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        **more,
    }


LLAMA_2_7B = _llama(
    intermediate_size=11008,
    max_position_embeddings=4096,
    num_key_value_heads=32,
    torch_dtype="float16",
    vocab_size=32000,
)
LLAMA_2_70B = _llama(
    hidden_size=8192,
    intermediate_size=28672,
    max_position_embeddings=4096,
    num_attention_heads=64,
    num_hidden_layers=80,
    num_key_value_heads=8,
    torch_dtype="float16",
    vocab_size=32000,
)
LLAMA_3_8B = _llama(
    attention_bias=False,
    intermediate_size=14336,
    max_position_embeddings=8192,
    num_key_value_heads=8,
    vocab_size=128256,
)
LLAMA_3_70B = {**LLAMA_2_70B, "vocab_size": 128256, "max_position_embeddings": 8192}
LLAMA_32_1B = _llama(
    head_dim=64,
    hidden_size=2048,
    intermediate_size=8192,
    max_position_embeddings=131072,
    num_hidden_layers=16,
    num_key_value_heads=8,
    tie_word_embeddings=True,
    vocab_size=128256,
)
MISTRAL_7B = {
    **_llama(intermediate_size=14336, num_key_value_heads=8, vocab_size=32000),
    "architectures": ["MistralForCausalLM"],
    "max_position_embeddings": 32768,
    "sliding_window": 4096,
}
MIXTRAL_8X7B = {
    **MISTRAL_7B,
    "architectures": ["MixtralForCausalLM"],
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "sliding_window": None,
}
QWEN_25_7B = {
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "sliding_window": 131072,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 152064,
}
QWEN_25_05B = {
    **QWEN_25_7B,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "vocab_size": 151936,
}
QWEN_15_MOE = {
    "architectures": ["Qwen2MoeForCausalLM"],
    "decoder_sparse_step": 1,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "max_position_embeddings": 8192,
    "moe_intermediate_size": 1408,
    "num_attention_heads": 16,
    "num_experts": 60,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 24,
    "num_key_value_heads": 16,
    "shared_expert_intermediate_size": 5632,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 151936,
}
QWEN_3_8B = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "head_dim": 128,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "max_position_embeddings": 40960,
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_sliding_window": False,
    "vocab_size": 151936,
}
QWEN_3_06B = {
    **QWEN_3_8B,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_hidden_layers": 28,
    "tie_word_embeddings": True,
}
QWEN_3_30B_A3B = {
    **QWEN_3_8B,
    "architectures": ["Qwen3MoeForCausalLM"],
    "decoder_sparse_step": 1,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "mlp_only_layers": [],
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
}
GEMMA_2_9B = {
    "architectures": ["Gemma2ForCausalLM"],
    "attention_bias": False,
    "head_dim": 256,
    "hidden_size": 3584,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "num_attention_heads": 16,
    "num_hidden_layers": 42,
    "num_key_value_heads": 8,
    "sliding_window": 4096,
    "torch_dtype": "bfloat16",
    "vocab_size": 256000,
}
GEMMA_3_1B = {
    "architectures": ["Gemma3ForCausalLM"],
    "head_dim": 256,
    "hidden_size": 1152,
    "intermediate_size": 6912,
    "max_position_embeddings": 32768,
    "num_attention_heads": 4,
    "num_hidden_layers": 26,
    "num_key_value_heads": 1,
    "sliding_window": 512,
    "sliding_window_pattern": 6,
    "torch_dtype": "bfloat16",
    "vocab_size": 262144,
}
PHI_3_MINI = {
    "architectures": ["Phi3ForCausalLM"],
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "max_position_embeddings": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 32,
    "sliding_window": 2047,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 32064,
}
GPT_NEOX_20B = {
    "architectures": ["GPTNeoXForCausalLM"],
    "hidden_size": 6144,
    "intermediate_size": 24576,
    "max_position_embeddings": 2048,
    "num_attention_heads": 64,
    "num_hidden_layers": 44,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "vocab_size": 50432,
}
GPT_J_6B = {
    "architectures": ["GPTJForCausalLM"],
    "n_embd": 4096,
    "n_head": 16,
    "n_inner": None,
    "n_layer": 28,
    "n_positions": 2048,
    "tie_word_embeddings": False,
    "vocab_size": 50400,
}
FALCON_7B = {
    "alibi": False,
    "architectures": ["FalconForCausalLM"],
    "bias": False,
    "hidden_size": 4544,
    "multi_query": True,
    "new_decoder_architecture": False,
    "num_attention_heads": 71,
    "num_hidden_layers": 32,
    "parallel_attn": True,
    "torch_dtype": "bfloat16",
    "vocab_size": 65024,
}
DEEPSEEK_V2_LITE = {
    "architectures": ["DeepseekV2ForCausalLM"],
    "first_k_dense_replace": 1,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "kv_lora_rank": 512,
    "max_position_embeddings": 163840,
    "moe_intermediate_size": 1408,
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_attention_heads": 16,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 27,
    "num_key_value_heads": 16,
    "q_lora_rank": None,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "tie_word_embeddings": False,
    "topk_method": "greedy",
    "torch_dtype": "bfloat16",
    "v_head_dim": 128,
    "vocab_size": 102400,
}
DEEPSEEK_V3 = {
    **DEEPSEEK_V2_LITE,
    "architectures": ["DeepseekV3ForCausalLM"],
    "first_k_dense_replace": 3,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "num_attention_heads": 128,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 61,
    "num_key_value_heads": 128,
    "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536,
    "quantization_config": {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    },
    "topk_method": "noaux_tc",
    "vocab_size": 129280,
}

MODELS = (
    Published("meta-llama/Llama-2-7b-chat-hf", 6_738_415_616, LLAMA_2_7B),
    Published("meta-llama/Llama-2-70b-hf", 68_976_648_192, LLAMA_2_70B),
    Published("meta-llama/Meta-Llama-3-8B", 8_030_261_248, LLAMA_3_8B),
    Published("meta-llama/Meta-Llama-3-70B", 70_553_706_496, LLAMA_3_70B),
    Published("meta-llama/Llama-3.2-1B", 1_235_814_400, LLAMA_32_1B),
    Published("mistralai/Mistral-7B-v0.1", 7_241_732_096, MISTRAL_7B),
    Published("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704, MIXTRAL_8X7B),
    Published("Qwen/Qwen2.5-7B", 7_615_616_512, QWEN_25_7B),
    Published("Qwen/Qwen2.5-0.5B", 494_032_768, QWEN_25_05B),
    Published("Qwen/Qwen1.5-MoE-A2.7B", 14_315_784_192, QWEN_15_MOE),
    Published("Qwen/Qwen3-8B", 8_190_735_360, QWEN_3_8B),
    Published("Qwen/Qwen3-0.6B", 596_049_920, QWEN_3_06B, "without the copy of the tied head"),
    Published("Qwen/Qwen3-30B-A3B", 30_532_122_624, QWEN_3_30B_A3B),
    Published("google/gemma-2-9b", 9_241_705_984, GEMMA_2_9B),
    Published("google/gemma-3-1b-pt", 999_885_952, GEMMA_3_1B),
    Published("microsoft/Phi-3-mini-4k-instruct", 3_821_079_552, PHI_3_MINI),
    Published("EleutherAI/gpt-neox-20b", 20_554_567_680, GPT_NEOX_20B, "its model card"),
    Published("EleutherAI/gpt-j-6b", 6_053_381_344, GPT_J_6B, "its model card"),
    Published("tiiuae/falcon-7b", 7_217_189_760, FALCON_7B),
    Published("deepseek-ai/DeepSeek-V2-Lite", 15_706_484_224, DEEPSEEK_V2_LITE),
    Published(
        "deepseek-ai/DeepSeek-V3",
        671_026_419_200,
        DEEPSEEK_V3,
        "its main model: README_WEIGHTS.md, 671B, without the layer that predicts a further token",
    ),
)
