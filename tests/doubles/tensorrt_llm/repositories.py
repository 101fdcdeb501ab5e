"""Doubles of tensorrtllm_backend's templates: their parameters, in files of our own.

Which parameters each template has, and whether they are quoted, is a fact of upstream; the rest
of the files is made up, as little as makes them a ModelConfig once they are filled.

- ``da59830``: triton-inference-server/tensorrtllm_backend, all_models/inflight_batcher_llm
- ``v0.8.0``: the same at 41fe3a6
- ``1.2``: NVIDIA/TensorRT-LLM, triton_backend/all_models/inflight_batcher_llm, at 0c8de69 for
  tensorrt_llm, and tensorrtllm_backend v0.18.2 with what 0.19 added for the others
"""

from __future__ import annotations

#: Model: parameters without quotes, parameters within.
KEYS: dict[str, dict[str, tuple[str, str]]] = {
    "da59830": {
        "ensemble": ("triton_max_batch_size", ""),
        "preprocessing": (
            "triton_max_batch_size preprocessing_instance_count",
            "tokenizer_dir add_special_tokens",
        ),
        "postprocessing": (
            "triton_max_batch_size postprocessing_instance_count",
            "tokenizer_dir",
        ),
        "tensorrt_llm_bls": (
            "triton_max_batch_size decoupled_mode bls_instance_count",
            "accumulate_tokens",
        ),
        "tensorrt_llm": (
            "triton_max_batch_size decoupled_mode max_queue_delay_microseconds",
            "max_beam_width batching_strategy engine_dir max_tokens_in_paged_kv_cache "
            "max_attention_window_size batch_scheduler_policy kv_cache_free_gpu_mem_fraction "
            "enable_trt_overlap exclude_input_in_output enable_kv_cache_reuse "
            "normalize_log_probs enable_chunked_context gpu_device_ids "
            "lora_cache_optimal_adapter_size lora_cache_max_adapter_size "
            "lora_cache_gpu_memory_fraction lora_cache_host_memory_bytes decoding_mode",
        ),
    },
    "v0.8.0": {
        "ensemble": ("triton_max_batch_size", ""),
        "preprocessing": (
            "triton_max_batch_size preprocessing_instance_count",
            "tokenizer_dir tokenizer_type",
        ),
        "postprocessing": (
            "triton_max_batch_size postprocessing_instance_count",
            "tokenizer_dir tokenizer_type",
        ),
        "tensorrt_llm_bls": (
            "triton_max_batch_size decoupled_mode bls_instance_count",
            "accumulate_tokens",
        ),
        "tensorrt_llm": (
            "triton_max_batch_size decoupled_mode max_queue_delay_microseconds",
            "max_beam_width batching_strategy engine_dir max_tokens_in_paged_kv_cache "
            "max_attention_window_size batch_scheduler_policy kv_cache_free_gpu_mem_fraction "
            "enable_trt_overlap exclude_input_in_output enable_kv_cache_reuse "
            "normalize_log_probs enable_chunked_context gpu_device_ids",
        ),
    },
    "1.2": {
        "ensemble": ("triton_max_batch_size logits_datatype", ""),
        "preprocessing": (
            "triton_max_batch_size preprocessing_instance_count max_queue_delay_microseconds "
            "max_queue_size",
            "tokenizer_dir add_special_tokens multimodal_model_path engine_dir max_num_images",
        ),
        "postprocessing": (
            "triton_max_batch_size postprocessing_instance_count",
            "tokenizer_dir skip_special_tokens",
        ),
        "tensorrt_llm_bls": (
            "triton_max_batch_size decoupled_mode logits_datatype bls_instance_count "
            "prompt_embedding_table_data_type",
            "accumulate_tokens tensorrt_llm_model_name tensorrt_llm_draft_model_name "
            "multimodal_encoders_name",
        ),
        "tensorrt_llm": (
            "triton_max_batch_size decoupled_mode max_queue_delay_microseconds max_queue_size "
            "encoder_input_features_data_type logits_datatype prompt_embedding_table_data_type",
            "triton_backend max_beam_width batching_strategy engine_dir encoder_engine_dir "
            "max_tokens_in_paged_kv_cache max_attention_window_size sink_token_length "
            "batch_scheduler_policy kv_cache_free_gpu_mem_fraction cross_kv_cache_fraction "
            "kv_cache_host_memory_bytes kv_cache_onboard_blocks enable_trt_overlap "
            "exclude_input_in_output cancellation_check_period_ms stats_check_period_ms "
            "iter_stats_max_iterations request_stats_max_iterations enable_kv_cache_reuse "
            "normalize_log_probs enable_chunked_context gpu_device_ids participant_ids num_nodes "
            "lora_cache_optimal_adapter_size lora_cache_max_adapter_size "
            "lora_cache_gpu_memory_fraction lora_cache_host_memory_bytes lora_prefetch_dir "
            "decoding_mode lookahead_window_size lookahead_ngram_size "
            "lookahead_verification_set_size medusa_choices eagle_choices gpu_weights_percent "
            "enable_context_fmha_fp32_acc multi_block_mode cuda_graph_mode cuda_graph_cache_size "
            "speculative_decoding_fast_logits tokenizer_dir guided_decoding_backend "
            "xgrammar_tokenizer_info_path",
        ),
    },
}

#: The key of a parameter in the rendered file, where it is not the placeholder's name.
RENAMED = {
    "batching_strategy": "gpt_model_type",
    "engine_dir": "gpt_model_path",
    "encoder_engine_dir": "encoder_model_path",
}

#: Where a parameter without quotes stands.
_BARE = {
    "triton_max_batch_size": "max_batch_size: ${triton_max_batch_size}",
    "decoupled_mode": "model_transaction_policy {\n  decoupled: ${decoupled_mode}\n}",
    "preprocessing_instance_count": (
        "instance_group [ { count: ${preprocessing_instance_count} kind: KIND_CPU } ]"
    ),
    "postprocessing_instance_count": (
        "instance_group [ { count: ${postprocessing_instance_count} kind: KIND_CPU } ]"
    ),
    "bls_instance_count": "instance_group [ { count: ${bls_instance_count} kind: KIND_CPU } ]",
}


def template(version: str, model: str) -> str:
    """The template of a model."""
    bare, quoted = (names.split() for names in KEYS[version][model])
    backend = {"ensemble": "", "tensorrt_llm": "tensorrtllm"}.get(model, "python")
    if "triton_backend" in quoted:
        quoted.remove("triton_backend")
        backend = "${triton_backend}"
    lines = [
        "# A made-up file with upstream's parameters, such as ${this_is_a_comment}.",
        f'name: "{model}"',
        f'backend: "{backend}"' if backend else 'platform: "ensemble"',
    ]
    for name in bare:
        if name in _BARE:
            lines.append(_BARE[name])
        elif name.endswith(("datatype", "data_type")):
            lines.append(f'input [ {{ name: "{name}" data_type: ${{{name}}} dims: [ -1 ] }} ]')
    if "max_queue_delay_microseconds" in bare:
        queue = (
            "default_queue_policy: { max_queue_size: ${max_queue_size} }"
            if "max_queue_size" in bare
            else ""
        )
        lines.append(
            "dynamic_batching {\n  preferred_batch_size: [ ${triton_max_batch_size} ]\n"
            f"  max_queue_delay_microseconds: ${{max_queue_delay_microseconds}}\n  {queue}\n}}"
        )
    for name in quoted:
        key = RENAMED.get(name, name) if model == "tensorrt_llm" else name
        lines.append(
            f'parameters: {{\n  key: "{key}"\n  value: {{ string_value: "${{{name}}}" }}\n}}'
        )
    return "\n".join(lines) + "\n"


def templates(version: str, folder: str = "all_models/inflight_batcher_llm") -> dict[str, str]:
    """The files of a repository, by path."""
    files: dict[str, str] = {}
    for model in KEYS[version]:
        files[f"{folder}/{model}/config.pbtxt"] = template(version, model)
        content = "1/.tmp" if model in {"ensemble", "tensorrt_llm"} else "1/model.py"
        files[f"{folder}/{model}/{content}"] = "# A double.\n"
    return files


def llmapi(folder: str = "triton_backend/all_models/llmapi") -> dict[str, str]:
    """The files of the LLM API's model; the comment is there upstream as well (release 1.2)."""
    config = """name: "tensorrt_llm"
backend: "python"
# The below config arguments are specific in model.yaml
# model_transaction_policy {
#  decoupled: False
# }
instance_group [ { count: 1 kind : KIND_CPU } ]
input [ { name: "text_input" data_type: TYPE_STRING dims: [ -1 ] } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [ -1 ] } ]
"""
    return {
        f"{folder}/tensorrt_llm/config.pbtxt": config,
        f"{folder}/tensorrt_llm/1/model.py": "# A double.\n",
        f"{folder}/tensorrt_llm/1/helpers.py": "# A double.\n",
        f"{folder}/tensorrt_llm/1/model.yaml": "model: TinyLlama/TinyLlama-1.1B-Chat-v1.0\n",
    }
