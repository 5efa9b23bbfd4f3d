"""Codecs: how a field's value lies in its Arrow column."""

from enum import Enum

import numpy as np
import pyarrow as pa

__all__ = ["ARRAYS", "Codec"]


class Codec(str, Enum):
    """How a value is stored, and so what the reader makes of it.

    SCALAR      one Arrow scalar a row → numpy scalar column [rows] (text stays text, or becomes ids by its vocabulary)
    LIST        a ragged list of scalars → one numpy array a row
    TENSOR      Arrow's `fixed_shape_tensor` → numpy [rows, *shape], no copy a row
    RAW_IMAGE   a TENSOR of uint8, height × width × channels: decoded pixels, no decode at all; in Parquet one binary value
    IMAGE       PNG, JPEG or WebP bytes in a binary column → uint8 (PNG: or uint16) [height, width, channels] a row
    NDARRAY     the bytes of an npy file in a binary column → one numpy array a row, of any number of dimensions
    COMPRESSED_NDARRAY   those of an npz file that holds it under the name `arr`
    """

    SCALAR = "scalar"
    LIST = "list"
    TENSOR = "tensor"
    RAW_IMAGE = "raw_image"
    IMAGE = "image"
    NDARRAY = "ndarray"
    COMPRESSED_NDARRAY = "compressed_ndarray"

    @staticmethod
    def of(kind: pa.DataType) -> "Codec":
        """Return the codec of a column about which nothing but its Arrow type is known."""
        if isinstance(kind, pa.FixedShapeTensorType):
            return Codec.TENSOR
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            return Codec.LIST
        return Codec.SCALAR

    def check(self, name: str, kind: pa.DataType) -> None:
        """Raise `ValueError` unless values of this codec can lie in a column of that Arrow type."""
        tensor = isinstance(kind, pa.FixedShapeTensorType)
        # pyarrow cannot pick rows of a view yet.
        view = kind in (pa.string_view(), pa.binary_view())
        binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        fits = {
            Codec.SCALAR: not tensor and not pa.types.is_nested(kind) and not view,
            Codec.LIST: pa.types.is_nested(kind) and not tensor,
            Codec.TENSOR: tensor,
            Codec.RAW_IMAGE: tensor and len(kind.shape) == 3 and kind.value_type == pa.uint8(),
            Codec.IMAGE: binary,
            Codec.NDARRAY: binary,
            Codec.COMPRESSED_NDARRAY: binary,
        }[self]
        if not fits:
            raise ValueError(f"field {name!r}: codec {self.value} cannot be stored as {kind}")


# Arrays of numpy's own file formats.
ARRAYS = (Codec.NDARRAY, Codec.COMPRESSED_NDARRAY)


def tensor_column(values: np.ndarray) -> pa.ExtensionArray:
    """Return an Arrow `fixed_shape_tensor` column of `values` [rows, *shape], any numeric dtype."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))
