"""What Petastorm says of a dataset, in words of our own: fields, codecs, row-group indexes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["CodecKind", "IndexKind", "PetastormCodec", "PetastormField", "PetastormIndex", "PetastormSchema"]

CodecKind = Literal["scalar", "ndarray", "compressed_ndarray", "compressed_image"]
IndexKind = Literal["single_field", "field_not_null"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PetastormCodec:
    """How Petastorm stores a field's values.

    Attributes:
        kind: `scalar` (ScalarCodec), `ndarray` (npy bytes), `compressed_ndarray` (npz bytes, under the name `arr`) or
            `compressed_image` (PNG or JPEG bytes).
        spark_type: of a scalar, Spark's short name: `int`, `decimal(10,2)`, `string`, …
        image_format: of an image: `png`, `jpeg` or another that OpenCV writes.
        quality: of an image, 0 to 100; says something of JPEG only.
    """

    kind: CodecKind
    spark_type: str | None = None
    image_format: str | None = None
    quality: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PetastormField:
    """A field of a unischema.

    Attributes:
        name: of the field and of its column.
        kind: name of its numpy scalar type (`uint8`, `float32`, `str_`, `bytes_`, `datetime64`, …), or `decimal`.
        shape: of a value; None where a dimension varies from row to row. () is a scalar.
        codec: how it is stored, or None where the column holds the values themselves.
        nullable: whether it may be None.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...] = ()
    codec: PetastormCodec | None = None
    nullable: bool = False

    @property
    def dtype(self) -> np.dtype:
        """The numpy dtype of a value; object for decimals."""
        return np.dtype(object) if self.kind == "decimal" else np.dtype(self.kind)


@dataclass(frozen=True, slots=True)
class PetastormSchema:
    """A unischema: its name and its fields, in order."""

    name: str
    fields: tuple[PetastormField, ...]

    def __iter__(self) -> Iterator[PetastormField]:
        return iter(self.fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class PetastormIndex:
    """A row-group index. Row groups are counted through all files, which are sorted by path.

    Attributes:
        kind: `single_field` or `field_not_null`.
        field: whose values are indexed.
        values: row groups by value, for `single_field`; empty for the other.
        row_groups: the row groups that hold any value that is not null.
    """

    kind: IndexKind
    field: str
    values: Mapping[Any, tuple[int, ...]]
    row_groups: tuple[int, ...]
