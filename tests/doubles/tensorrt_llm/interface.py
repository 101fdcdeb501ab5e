"""The command lines of TensorRT-LLM's tools, as argparse reads them upstream.

Written from upstream's own ``add_argument`` calls, apart from roles/engine/tensorrt_llm/flags, so
that a mistake there shows:

- 0.8.0: NVIDIA/TensorRT-LLM at 5955b8a, examples/llama/convert_checkpoint.py,
  tensorrt_llm/commands/build.py, examples/quantization/quantize.py
- 0.9.0.dev2024022700: 655524d; the flags as recorded when the published recipe was read, between
  the revisions 0f041b7 and 728cc00 of the same files
- 1.2.1: convert_checkpoint.py at 368f8f2, build.py at 65f1d15, quantize.py at 059c97c, plugins by
  PluginConfig in tensorrt_llm/plugin/plugin.py of release 1.2

Standard library only: this module is copied into the runtime.
"""

import argparse

DTYPES = ["float32", "bfloat16", "float16"]
AUTO = ["auto", "float16", "bfloat16", "float32"]
OLD_PLUGIN = ["float16", "float32", "bfloat16", "disable"]
PLUGIN = ["auto", "float16", "float32", "bfloat16", "int32", "disable"]


def add(parser, switches="", integers=None, floats=None, texts="", choices=None):
    """Add flags: their names by kind; a mapping gives each its default."""
    for name in switches.split():
        parser.add_argument("--" + name, action="store_true", default=False)
    for name, default in (integers or {}).items():
        parser.add_argument("--" + name, type=int, default=default)
    for name, default in (floats or {}).items():
        parser.add_argument("--" + name, type=float, default=default)
    for name in texts.split():
        parser.add_argument("--" + name, type=str, default=None)
    for name, (allowed, default) in (choices or {}).items():
        parser.add_argument("--" + name, choices=allowed, default=default)


def qwen_parser():
    """convert_checkpoint.py of examples/models/core/qwen, 1.2 (0df9aaf)."""
    parser = argparse.ArgumentParser(prog="convert_checkpoint.py")
    parser.add_argument("--model_dir", type=str, default=None, required=True)
    add(
        parser,
        "use_weight_only disable_weight_only_quant_plugin per_channel per_token int8_kv_cache "
        "per_group load_model_on_cpu use_parallel_embedding",
        {
            "tp_size": 1,
            "pp_size": 1,
            "cp_size": 1,
            "workers": 1,
            "group_size": 128,
            "moe_tp_size": -1,
            "moe_ep_size": -1,
        },
        None,
        "",
        {"dtype": (AUTO, "auto")},
    )
    parser.add_argument("--smoothquant", "-sq", type=float, default=None)
    parser.add_argument("--calib_dataset", default="ccdv/cnn_dailymail")
    parser.add_argument("--output_dir", default="tllm_checkpoint")
    parser.add_argument("--embedding_sharding_dim", type=int, default=0, choices=[0, 1])
    parser.add_argument(
        "--weight_only_precision",
        const="int8",
        nargs="?",
        default="int8",
        choices=["int8", "int4", "int4_gptq", "int8_gptq"],
    )
    return parser


def convert_parser(version):
    """convert_checkpoint.py of examples/llama."""
    parser = argparse.ArgumentParser(prog="convert_checkpoint.py", allow_abbrev=True)
    shape = {"n_positions": 2048, "n_layer": 32, "n_head": 32, "n_kv_head": None, "n_embd": 4096}
    add(
        parser,
        "use_weight_only disable_weight_only_quant_plugin per_channel per_token int8_kv_cache "
        "fp8_kv_cache per_group load_by_shard load_model_on_cpu use_parallel_embedding",
        {
            "tp_size": 1,
            "pp_size": 1,
            "workers": 1,
            "group_size": 128,
            "vocab_size": 32000,
            "inter_size": 11008,
            "moe_num_experts": 0,
            "moe_top_k": 0,
            "moe_renorm_mode": 1,
            **shape,
        },
        {"rms_norm_eps": 1e-06, "rotary_base": 10000.0},
        "model_dir meta_ckpt_dir",
    )
    parser.add_argument("--smoothquant", "-sq", type=float, default=None)
    parser.add_argument("--hidden_act", default="silu")
    parser.add_argument("--output_dir", default="tllm_checkpoint")
    parser.add_argument("--embedding_sharding_dim", type=int, default=0, choices=[0, 1])
    precisions = ["int8", "int4", "int4_gptq"]
    if version == "1.2.1":
        precisions = ["int8", "int4", "int8_gptq", "int4_gptq", "int4_awq"]
        add(
            parser,
            "use_qserve use_fp8 use_nvfp4 use_fp8_rowwise use_meta_fp8_rowwise_recipe "
            "save_config_only remove_duplicated_kv_heads",
            {
                "cp_size": 1,
                "moe_tp_size": -1,
                "moe_ep_size": -1,
                "multiple_of": None,
                "calib_size": 512,
                "calib_max_seq_length": 512,
            },
            {"ffn_dim_multiplier": None},
            "quant_ckpt_path",
            {"dtype": (AUTO, "auto")},
        )
        parser.add_argument("--calib_dataset", default="ccdv/cnn_dailymail")
        parser.add_argument("--log_level", default="info")
    else:
        add(
            parser,
            "enable_fp8 use_embedding_sharing use_prompt_tuning enable_pos_shift "
            "dense_context_fmha",
            {"moe_tp_mode": 2, "max_lora_rank": 64},
            None,
            "ammo_quant_ckpt_path dataset-cache-dir hf_lora_dir",
            {"dtype": (DTYPES, "float16"), "storage-type": (["fp32", "fp16"], "fp32")},
        )
        parser.add_argument("--rotary_scaling", nargs=2, default=None)
        parser.add_argument("--lora_target_modules", nargs="+", default=None)
    parser.add_argument(
        "--weight_only_precision", const="int8", nargs="?", default="int8", choices=precisions
    )
    return parser


def quantize_parser(version):
    """quantize.py of examples/quantization."""
    parser = argparse.ArgumentParser(prog="quantize.py")
    formats = ["fp8", "int8_sq", "int4_awq", "w4a8_awq", "int8_wo", "int4_wo", "full_prec"]
    common = {"batch_size": 1, "calib_size": 512, "tp_size": 1, "pp_size": 1, "awq_block_size": 128}
    add(parser, "", common)
    parser.add_argument("--output_dir", default="exported_model")
    parser.add_argument("--kv_cache_dtype", default=None, choices=["int8", "fp8", None])
    if version == "1.2.1":
        add(
            parser,
            "quantize_lm_head quant_medusa_head",
            {
                "seed": 1234,
                "tokenizer_max_seq_length": 2048,
                "calib_max_seq_length": 512,
                "cp_size": 1,
                "calib_tp_size": 1,
                "calib_pp_size": 1,
            },
            {"auto_quantize_bits": None},
            "model_dir nemo_ckpt_path autoq_format",
            {
                "dtype": (AUTO, "auto"),
                "device": (["cuda", "cpu"], "cuda"),
                "device_map": (["auto", "sequential", "cpu", "gpu"], "auto"),
                "qformat": (["nvfp4", *formats], "full_prec"),
            },
        )
        parser.add_argument("--calib_dataset", default="cnn_dailymail")
    else:
        parser.add_argument("--model_dir", required=True)
        parser.add_argument("--device", default="cuda")
        parser.add_argument("--dtype", default="float16")
        add(parser, choices={"qformat": (formats, "full_prec")})
    return parser


def build_parser(version):
    """trtllm-build."""
    parser = argparse.ArgumentParser(prog="trtllm-build")
    add(
        parser,
        "enable_debug_output gather_all_token_logits gather_context_logits "
        "gather_generation_logits",
        {"max_input_len": 1024, "max_beam_width": 1, "workers": 1},
        None,
        "checkpoint_dir model_config build_config model_cls_file model_cls_name",
        {
            "profiling_verbosity": (["layer_names_only", "detailed", "none"], "layer_names_only"),
            "logits_dtype": (["float16", "float32"], None),
        },
    )
    parser.add_argument("--output_dir", default="engine_outputs")
    parser.add_argument("--log_level", default="info")
    parser.add_argument(
        "--max_prompt_embedding_table_size", "--max_multimodal_len", type=int, default=0
    )
    if version == "1.2.1":
        _new_build(parser)
    else:
        _old_build(parser, version)
    return parser


def _old_build(parser, version):
    add(
        parser,
        "use_fused_mlp strongly_typed",
        {"max_batch_size": 1, "max_output_len": 1024, "max_num_tokens": None, "builder_opt": None},
        None,
        "",
        {"weight_only_precision": (["int8", "int4"], None)},
    )
    parser.add_argument("--timing_cache", default="model.cache")
    if version != "0.8.0":
        parser.add_argument("--max_draft_len", type=int, default=0)
    plugins = {
        "bert_attention_plugin": "float16",
        "gpt_attention_plugin": "float16",
        "gemm_plugin": None,
        "lookup_plugin": None,
        "lora_plugin": None,
        "moe_plugin": "float16",
    }
    add(parser, choices={name: (OLD_PLUGIN, default) for name, default in plugins.items()})
    _features(
        parser,
        on="context_fmha paged_kv_cache remove_input_padding use_custom_all_reduce enable_xqa",
        off="context_fmha_fp32_acc multi_block_mode attention_qk_half_accumulation "
        "use_paged_context_fmha use_context_fmha_for_generation",
    )
    parser.add_argument("--tokens_per_block", type=int, default=128)


def _new_build(parser):
    add(
        parser,
        "strip_plan weight_sparsity weight_streaming fast_build dry_run monitor_memory",
        {
            "max_batch_size": 2048,
            "max_num_tokens": 8192,
            "opt_num_tokens": None,
            "max_encoder_input_len": 1024,
            "max_lora_rank": 64,
            "max_draft_len": 0,
        },
        None,
        "paged_kv_cache input_timing_cache visualize_network",
        {
            "kv_cache_type": (["continuous", "paged", "disabled"], None),
            "lora_ckpt_source": (["hf", "nemo"], "hf"),
            "speculative_decoding_mode": (
                [
                    "draft_tokens_external",
                    "lookahead_decoding",
                    "medusa",
                    "explicit_draft_tokens",
                    "eagle",
                ],
                None,
            ),
        },
    )
    parser.add_argument("--output_timing_cache", default="model.cache")
    parser.add_argument("--max_seq_len", "--max_decoder_seq_len", type=int, default=None)
    parser.add_argument("--lora_dir", nargs="+", default=None)
    parser.add_argument("--lora_target_modules", nargs="+", default=None)
    usual = {
        "bert_attention_plugin": "auto",
        "gpt_attention_plugin": "auto",
        "moe_plugin": "auto",
        "mamba_conv1d_plugin": "auto",
        "nccl_plugin": "auto",
        "lora_plugin": "disable",
        "fp8_rowwise_gemm_plugin": "disable",
    }
    add(parser, choices={name: (PLUGIN, default) for name, default in usual.items()})
    eight = ["fp8", "disable"]
    add(
        parser,
        choices={
            "gemm_plugin": ([*PLUGIN, "fp8", "nvfp4"], None),
            "gemm_swiglu_plugin": (eight, "disable"),
            "low_latency_gemm_plugin": (eight, "disable"),
            "low_latency_gemm_swiglu_plugin": (eight, "disable"),
            "gemm_allreduce_plugin": (["float16", "bfloat16", "disable"], "disable"),
        },
    )
    _features(
        parser,
        on="context_fmha remove_input_padding use_paged_context_fmha use_fp8_context_fmha "
        "paged_state use_fused_mlp",
        off="dora_plugin bert_context_fmha_fp32_acc fuse_fp4_quant multiple_profiles streamingllm "
        "norm_quant_fusion reduce_fusion user_buffer pp_reduce_scatter",
    )
    parser.add_argument("--tokens_per_block", type=int, default=32)


def _features(parser, on, off):
    for names, default in ((on, "enable"), (off, "disable")):
        for name in names.split():
            parser.add_argument("--" + name, choices=["enable", "disable"], default=default)
