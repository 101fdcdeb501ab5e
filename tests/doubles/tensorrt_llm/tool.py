"""What the doubles do: the files that the real tools leave, of the real shape, and their ends.

``fail.json`` in the runtime's prefix says which of the real tools' failures to show, by tool.
Shapes: ``create_config_from_args`` in convert_checkpoint.py and ``EngineConfig`` in
tensorrt_llm/runtime/engine.py (5955b8a), tensorrt_llm/builder.py (release 1.2). Messages: issues
of NVIDIA/TensorRT-LLM, by number below.

Standard library only: this module is copied into the runtime.
"""

import json
import os
import signal
import struct
import sys
from pathlib import Path

from tensorrt_llm import PREFIX, __version__
from tensorrt_llm.interface import build_parser, convert_parser, quantize_parser, qwen_parser

#: Architectures of MODEL_MAP (tensorrt_llm/models/__init__.py) that the converters make.
LLAMA = ("LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM")
QWEN = ("QWenForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
KNOWN = (*LLAMA, *QWEN)

ENDS = {
    # 1221, 2451
    "gpu_memory": (
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 86.00 MiB. GPU 0 has a "
        "total capacity of 15.69 GiB of which 62.31 MiB is free."
    ),
    # 1543
    "engine_memory": (
        "[TRT] [E] 2: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory (no "
        "further information)"
    ),
    # 102, 743: a worker of the pool that the kernel killed
    "worker_killed": (
        "concurrent.futures.process.BrokenProcessPool: A process in the process pool was "
        "terminated abruptly while the future was running or pending."
    ),
    # 159, 484
    "architecture": (
        "RuntimeError: CUDA error: no kernel image is available for execution on the device"
    ),
    # 1515
    "old_gpu": (
        "[TensorRT-LLM][ERROR] Assertion failed: Unsupported architecture (/tensorrt_llm/cpp/"
        "tensorrt_llm/kernels/contextFusedMultiHeadAttention/fmhaRunner.cpp:89)"
    ),
    "no_cuda": (
        "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory"
    ),
    # 331
    "driver": (
        "RuntimeError: The NVIDIA driver on your system is too old: CUDA driver version is "
        "insufficient for CUDA runtime version"
    ),
    "disk": "OSError: [Errno 28] No space left on device",
    # 1351
    "data_set": "ConnectionError: Couldn't reach 'cnn_dailymail' on the Hub (ConnectionError)",
    "unknown": "ValueError: something that nobody has met before",
}


def planned(tool):
    """The end that the tool was told to come to; empty for none."""
    path = Path(PREFIX) / "fail.json"
    return json.loads(path.read_text()).get(tool, "") if path.exists() else ""


def end(tool, *, partly=False):
    """Fail as told; ``partly``: after the first rank was written."""
    how = planned(tool)
    if how == "killed":
        if partly:
            os.kill(os.getpid(), signal.SIGKILL)
    elif how in ENDS:
        print("Traceback (most recent call last):", file=sys.stderr)
        print(ENDS[how], file=sys.stderr)
        sys.exit(1)


def write_tensors(path):
    """A safetensors file with one tensor."""
    header = {"weight": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0")


def model_config(folder):
    """The model's config.json; the real tools need the tokenizer and the weights as well."""
    config = json.loads((Path(folder) / "config.json").read_text())
    assert list(Path(folder).glob("*.safetensors")), "no weights in " + str(folder)
    return config


def write_checkpoint(output, model, dtype, tp_size, pp_size, quantization):
    """config.json and a file for each rank."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    if dtype == "auto":
        dtype = model.get("torch_dtype") or model.get("dtype") or "float16"
    config = {
        "architecture": model["architectures"][0],
        "dtype": dtype,
        "logits_dtype": "float32",
        "vocab_size": model["vocab_size"],
        "hidden_size": model["hidden_size"],
        "num_hidden_layers": model["num_hidden_layers"],
        "num_attention_heads": model["num_attention_heads"],
        "num_key_value_heads": model.get("num_key_value_heads", model["num_attention_heads"]),
        "max_position_embeddings": model["max_position_embeddings"],
        "quantization": quantization,
        "mapping": {"world_size": tp_size * pp_size, "tp_size": tp_size, "pp_size": pp_size},
    }
    (output / "config.json").write_text(json.dumps(config, indent=4))
    for rank in range(tp_size * pp_size):
        write_tensors(output / f"rank{rank}.safetensors")
        if __version__.startswith("1."):
            print("Total time of saving checkpoint: 0.100 s")
        end("convert", partly=True)
        if planned("convert") == "one_rank":
            break


def convert(family="llama"):
    """convert_checkpoint.py of the examples."""
    print(__version__)
    parser = qwen_parser() if family == "qwen" else convert_parser(__version__)
    args = parser.parse_args()
    end("convert")
    gptq = "gptq" in args.weight_only_precision
    path = getattr(args, "ammo_quant_ckpt_path", None) or getattr(args, "quant_ckpt_path", None)
    assert path is None or gptq, "only gptq weights or qserve need this option"
    if args.smoothquant is not None or args.int8_kv_cache:
        assert not getattr(args, "load_by_shard", False), "load by shard not supported"
    algorithm = None
    if args.use_weight_only:
        names = {"int8": "W8A16", "int4": "W4A16", "int4_gptq": "W4A16_GPTQ"}
        algorithm = names[args.weight_only_precision]
    elif args.smoothquant:
        algorithm = "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN"
    cache = (
        "INT8" if args.int8_kv_cache else "FP8" if getattr(args, "fp8_kv_cache", False) else None
    )
    print("Loading checkpoint shards:   0%|  | 0/1\rLoading checkpoint shards: 100%|##| 1/1")
    write_checkpoint(
        args.output_dir,
        model_config(args.model_dir),
        args.dtype,
        args.tp_size,
        args.pp_size,
        {"quant_algo": algorithm, "kv_cache_quant_algo": cache},
    )
    print("Total time of converting checkpoints: 00:00:01")


def quantize():
    """quantize.py of the examples."""
    args = quantize_parser(__version__).parse_args()
    end("quantize")
    algorithm = {"fp8": "FP8", "int4_awq": "W4A16_AWQ", "int8_sq": "W8A8_SQ_PER_CHANNEL"}
    cache = args.kv_cache_dtype and args.kv_cache_dtype.upper()
    write_checkpoint(
        args.output_dir,
        model_config(args.model_dir),
        args.dtype,
        args.tp_size,
        args.pp_size,
        {"quant_algo": algorithm.get(args.qformat), "kv_cache_quant_algo": cache},
    )
    print(f"Quantized model exported to {args.output_dir} \nTotal time used 1.00 s.")


def build():
    """trtllm-build."""
    print(f"[TensorRT-LLM] TensorRT-LLM version: {__version__}")
    args = build_parser(__version__).parse_args()
    end("build")
    checkpoint = Path(args.checkpoint_dir)
    config = json.loads((checkpoint / "config.json").read_text())
    if config["architecture"] not in KNOWN:
        raise RuntimeError(f"Unsupported model architecture: {config['architecture']}")
    output = Path(args.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    flags = vars(args)
    plugins = {
        name: {"enable": True, "disable": False}.get(value, value)
        for name, value in flags.items()
        if name.endswith("_plugin") or value in {"enable", "disable"}
    }
    limits = ("max_batch_size", "max_input_len", "max_beam_width", "max_num_tokens")
    built = {name: flags[name] for name in limits}
    if __version__.startswith("1."):
        built["max_seq_len"] = args.max_seq_len or config["max_position_embeddings"]
        built["kv_cache_type"] = (args.kv_cache_type or "paged").upper()
        plugins["paged_kv_cache"] = built["kv_cache_type"] == "PAGED"
    else:
        built["max_output_len"] = args.max_output_len
    version = "0.7.1" if planned("build") == "version" else __version__
    build_config = {
        **built,
        "plugin_config": {**plugins, "tokens_per_block": args.tokens_per_block},
    }
    world_size = config["mapping"]["world_size"]
    for rank in range(world_size):
        assert (checkpoint / f"rank{rank}.safetensors").exists()
        # Upstream writes it before the engine of rank 0.
        if rank == 0:
            written = {
                "version": version,
                "pretrained_config": config,
                "build_config": build_config,
            }
            (output / "config.json").write_text(json.dumps(written, indent=4))
        print(f"[TRT-LLM] [I] Serializing engine to {output}/rank{rank}.engine...")
        (output / f"rank{rank}.engine").write_bytes(b"a double's engine\n")
        end("build", partly=True)
        if planned("build") == "one_rank":
            break
    print("[TRT-LLM] [I] Total time of building all engines: 00:00:01")
