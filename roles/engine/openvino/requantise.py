"""Writes a GGUF's weights in a format that openvino-genai converts without damage.

openvino-genai 2026.4 reads a Q4_1 GGUF but damages it: the perplexity of SmolLM2-135M rises from
11.8 to 19.4. From Q8_0 and F16 it is right. So every matrix is de-quantised to float32 first and
quantised again; the test of the built engine against stored reference tokens guards this.
"""

from __future__ import annotations

import enum
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
from errors import BuildError
from gguf_source import Source
from progress import Progress

FloatArray = npt.NDArray[np.float32]


class Quantization(str, enum.Enum):
    """How the engine holds its matrices."""

    Q8_0 = "q8_0"
    F16 = "f16"


_MATRIX_TYPE = {
    Quantization.Q8_0: gguf.GGMLQuantizationType.Q8_0,
    Quantization.F16: gguf.GGMLQuantizationType.F16,
}
_GENERATED_BY_WRITER = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count")
_FILE_TYPE = {
    Quantization.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
    Quantization.F16: gguf.LlamaFileType.MOSTLY_F16,
}


def requantise(source: Source, target: Path, quantization: Quantization) -> None:
    """Write ``source`` to ``target`` with every matrix in ``quantization``; vectors stay float32.

    One tensor is in memory at a time. Raises ``BuildError`` for a tensor type that cannot be
    de-quantised and ``OSError`` if the file cannot be written.
    """
    writer = gguf.GGUFWriter(target, source.shape.architecture)
    try:
        _copy_metadata(source, writer, quantization)
        types = [_target_type(tensor, quantization) for tensor in source.reader.tensors]
        for tensor, kind in zip(source.reader.tensors, types, strict=True):
            _announce(writer, tensor, kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        progress = Progress("re-quantising", total=len(types), unit="tensors")
        for tensor, kind in zip(source.reader.tensors, types, strict=True):
            writer.write_tensor_data(_converted(tensor, kind))
            progress.advance()
    finally:
        writer.close()


def dequantised(tensor: gguf.ReaderTensor) -> FloatArray:
    """The values of ``tensor`` as float32, in numpy's order (rows are outputs)."""
    if tensor.tensor_type == gguf.GGMLQuantizationType.F32:
        return np.asarray(tensor.data, dtype=np.float32)
    try:
        return np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    except NotImplementedError as error:
        kind = tensor.tensor_type.name
        raise BuildError(f"tensor {tensor.name}: type {kind} cannot be de-quantised") from error


def _target_type(
    tensor: gguf.ReaderTensor, quantization: Quantization
) -> gguf.GGMLQuantizationType:
    if len(tensor.shape) < 2:
        return gguf.GGMLQuantizationType.F32
    return _MATRIX_TYPE[quantization]


def _announce(
    writer: gguf.GGUFWriter, tensor: gguf.ReaderTensor, kind: gguf.GGMLQuantizationType
) -> None:
    shape = tuple(int(length) for length in reversed(tensor.shape))
    if kind == gguf.GGMLQuantizationType.Q8_0:
        byte_shape = gguf.quant_shape_to_byte_shape(shape, kind)
        size = int(np.prod(byte_shape))
        writer.add_tensor_info(tensor.name, byte_shape, np.dtype(np.uint8), size, raw_dtype=kind)
        return
    dtype = np.dtype(np.float32 if kind == gguf.GGMLQuantizationType.F32 else np.float16)
    size = int(np.prod(shape)) * dtype.itemsize
    writer.add_tensor_info(tensor.name, shape, dtype, size)


def _converted(
    tensor: gguf.ReaderTensor, kind: gguf.GGMLQuantizationType
) -> npt.NDArray[np.generic]:
    if tensor.tensor_type == kind:
        return np.asarray(tensor.data)
    values = dequantised(tensor)
    if not np.isfinite(values).all():
        raise BuildError(f"tensor {tensor.name}: holds values that are not finite (damaged file)")
    return np.asarray(gguf.quantize(values, kind))


def _copy_metadata(source: Source, writer: gguf.GGUFWriter, quantization: Quantization) -> None:
    for key, field in source.reader.fields.items():
        if key in _GENERATED_BY_WRITER or key == gguf.Keys.General.ARCHITECTURE:
            continue
        if key == gguf.Keys.General.FILE_TYPE:
            writer.add_file_type(_FILE_TYPE[quantization])
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, element)
