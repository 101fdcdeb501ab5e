"""Converts a GGUF to OpenVINO's intermediate representation with openvino-genai."""

from __future__ import annotations

from pathlib import Path

from errors import BuildError

IR_FILES = (
    "openvino_model.xml",
    "openvino_model.bin",
    "openvino_tokenizer.xml",
    "openvino_tokenizer.bin",
    "openvino_detokenizer.xml",
    "openvino_detokenizer.bin",
)


def convert(gguf_path: Path, directory: Path) -> None:
    """Convert ``gguf_path`` and move the files of the result into ``directory``.

    openvino-genai saves beside the GGUF, so that must lie on the same file system.
    Raises ``BuildError`` if the conversion fails or leaves a file out.
    """
    import openvino_genai  # heavy: only after the input has been checked

    try:
        openvino_genai.LLMPipeline(str(gguf_path), "CPU", enable_save_ov_model=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BuildError(f"openvino-genai cannot convert the model: {reason}") from error
    for name in IR_FILES:
        produced = gguf_path.parent / name
        if not produced.is_file() or produced.stat().st_size == 0:
            raise BuildError(f"openvino-genai left out {name}")
        produced.replace(directory / name)
