"""Stop and bad words as TensorRT-LLM takes them: an int32 array of two rows.

Row 0 holds the token ids of all words one after the other; row 1 the end offset of each word,
padded with -1 (tensorrtllm_backend da59830, preprocessing/1/model.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .errors import RequestError

Word = tuple[int, ...]


def unpack(name: str, array: npt.NDArray[np.int32]) -> list[Word]:
    """The words in ``array``, of shape (2, n) or (1, 2, n); padding and empty words are dropped.

    Raises ``RequestError``, naming the tensor ``name``, if the shape or an offset is impossible.
    """
    rows = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
    if rows.ndim != 2 or rows.shape[0] != 2:
        raise RequestError(f"{name} must have the shape [2, n], not {list(array.shape)}")
    ids, offsets = rows[0].tolist(), rows[1].tolist()
    words: list[Word] = []
    start = 0
    for end in offsets:
        if end < 0:
            break
        if not start <= end <= len(ids):
            raise RequestError(f"{name} has an offset of {end} after {start}, of {len(ids)} ids")
        if end > start:
            words.append(tuple(ids[start:end]))
        start = end
    return words
