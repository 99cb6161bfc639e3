"""Floor 2. Whole numbers of few bits as bytes on disk, without gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def pack(whole: NDArray[np.int8], bits: int) -> NDArray[np.int8] | NDArray[np.uint8]:
    """Store whole numbers: as they are with 8 bits, else one after the other in a flat array.

    Examples
    --------
    >>> import numpy as np
    >>> from slimlab.quantize.packing import pack, unpack
    >>> packed = pack(np.array([[-8, 7], [0, 1]], np.int8), 4)
    >>> packed.nbytes, unpack(packed, 4, (2, 2)).tolist()
    (2, [[-8, 7], [0, 1]])
    """
    if bits == 8:
        return np.ascontiguousarray(whole)
    low = np.unpackbits(np.ascontiguousarray(whole).reshape(-1, 1).view(np.uint8), axis=1)
    return np.packbits(low[:, 8 - bits :].reshape(-1))


def unpack(
    packed: NDArray[np.int8] | NDArray[np.uint8], bits: int, shape: Sequence[int]
) -> NDArray[np.int8]:
    """Read what `pack` stored.

    Raises
    ------
    ValueError
        When there are too few bytes, or too many.
    """
    count = int(np.prod(shape, dtype=np.int64))
    if packed.nbytes != -(-count * bits // 8):
        msg = f"{packed.nbytes} bytes are not {count} numbers of {bits} bits"
        raise ValueError(msg)
    if bits == 8:
        return packed.view(np.int8).reshape(shape)
    flat = np.unpackbits(packed.view(np.uint8).reshape(-1))[: count * bits].reshape(count, bits)
    signs = np.repeat(flat[:, :1], 8 - bits, axis=1)
    return np.packbits(np.concatenate([signs, flat], axis=1)).view(np.int8).reshape(shape)
