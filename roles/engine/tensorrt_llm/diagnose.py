"""Known ends of a conversion or a build: how the log tells, what it means and what to do.

Issues are those of NVIDIA/TensorRT-LLM, or of tensorrtllm_backend where it says ``TB``.
"""

from __future__ import annotations

from dataclasses import dataclass

from rolecall.api import quote


@dataclass(frozen=True)
class Symptom:
    """One known end.

    Attributes:
        pattern: an extended regular expression that a line of the log matches.
        means: what happened.
        next: what to do.
        issues: where others met it.
        statuses: exit statuses that say the same without a line.
    """

    pattern: str
    means: str
    next: str
    issues: str
    statuses: tuple[int, ...] = ()


#: The first that fits counts, so what is more particular comes first.
SYMPTOMS = (
    Symptom(
        "No space left on device",
        "the disk is full",
        "free some space, or set rolecall.home to a directory on a larger disk",
        "#1543",
    ),
    Symptom(
        "[Uu]nrecognized arguments",
        "the tool does not know a flag: it is of another version than the flags are",
        "set engine.tensorrt_llm.version to the runtime's TensorRT-LLM",
        "#2143",
    ),
    Symptom(
        r"libcuda\.so\.1: cannot open|libnvidia-ml\.so\.1: cannot open|No CUDA GPUs are available|"
        "no CUDA-capable device|GPU is required for inference|Torch not compiled with CUDA",
        "the runtime sees no GPU and no CUDA driver",
        "see that nvidia-smi works on the host, that runtime.gpus is not empty, and that the "
        "container engine has the NVIDIA runtime",
        "#6238, #799",
    ),
    Symptom(
        "driver version is insufficient|built for NVIDIA Driver Release|CUDA failure 35",
        "the host's NVIDIA driver is too old for the runtime's CUDA",
        "update the driver, or set runtime.triton to a release that it runs (./inv preflight)",
        "#331, #23",
    ),
    Symptom(
        "no kernel image is available|Unsupported [Aa]rch|Unsupported SM|"
        "expecting compute [0-9.]+ got|Target GPU SM [0-9]+ is not supported",
        "this TensorRT-LLM has no code for this GPU's architecture",
        "use another GPU, or a runtime.triton that supports its compute capability",
        "#159, #484, #1515, #3031",
    ),
    Symptom(
        r"CUDA out of memory|OutOfMemoryError|CUDA error: out of memory|cudaErrorMemoryAllocation|"
        r"Cuda Runtime \(out of memory\)|Error Code 2: OutOfMemory|"
        "Requested amount of GPU memory|meta device",
        "the GPU's memory is too small for this step",
        "for the checkpoint: engine.tensorrt_llm.load_model_on_cpu=true (0.9.0 ignores it: #1502); "
        "for the engine: a smaller max_batch_size, max_input_len or max_num_tokens, workers=1, a "
        "quantization, or more GPUs with tp_size; and see that nothing else uses the GPU",
        "#1221, #2451, #1543, #1117",
    ),
    Symptom(
        r"^Killed|terminated abruptly|BrokenProcessPool|std::bad_alloc|can't allocate memory|"
        "^MemoryError|Cannot allocate memory",
        "the host ran out of memory, and the kernel ended the step",
        "free memory or add swap; engine.tensorrt_llm.workers=1; load_by_shard=true for the "
        "checkpoint; a container has a limit of its own (--memory in runtime.options). A model of "
        "7 billion parameters takes some 48 GB",
        "#1728, #2539, #2344, #743, #102",
        statuses=(137, 247),
    ),
    Symptom(
        "Unsupported model architecture|Architecture .* not supported|model type .* not supported",
        "this TensorRT-LLM cannot build an engine for the model's architecture",
        "take a version that supports it, its engine.tensorrt_llm.family, or kind llmapi of the "
        "role repo, which needs no engine",
        "#1026, #1116",
    ),
    Symptom(
        "No module named '?tensorrt_llm",
        "the runtime has no TensorRT-LLM",
        "use an image whose tag has trtllm in it, or set runtime.kind",
        "TB #231",
    ),
    Symptom(
        "No module named '?(ammo|modelopt)",
        "the runtime lacks the package that quantises",
        "install it into an image (runtime.image), or set engine.tensorrt_llm.quantization to a "
        "kind that convert_checkpoint.py makes",
        "#5247",
    ),
    Symptom(
        r"Couldn.t reach '?(ccdv/|abisee/)?cnn_dailymail|Invalid HF URI 'hf://datasets/cnn",
        "the data set to calibrate with could not be had",
        "give the host access to the hub, or name a local one: "
        "engine.tensorrt_llm.convert_flags={calib_dataset: /path/to/cnn_dailymail}",
        "#1351, #5247",
    ),
)


def script(symptoms: tuple[Symptom, ...] = SYMPTOMS) -> str:
    """The shell function ``rc_diagnose WHAT STATUS LOG``: says what is known of this end."""
    tests = "\n".join(
        "if {test}; then rc_known {means} {next} {issues}; return; fi".format(
            test=" || ".join(
                [
                    f'grep -qE -e {quote(symptom.pattern)} -- "$3"',
                    *(f'[ "$2" = {status} ]' for status in symptom.statuses),
                ]
            ),
            means=quote(symptom.means),
            next=quote(symptom.next),
            issues=quote(symptom.issues),
        )
        for symptom in symptoms
    )
    return f"""
rc_known() {{
  printf 'error: %s\\n  next: %s\\n  others who met it: %s\\n' "$1" "$2" "$3"
}}
rc_diagnose() {{
printf '%s ended with status %s\\n' "$1" "$2"
{tests}
rc_why=$(grep -v -e '^ *$' -e '^::progress' -- "$3" | tail -n 1)
printf 'error: %s\\n  next: the lines above say more\\n' "$rc_why"
}}
"""
