"""Cleaning images: every file is decoded once, and what cannot be is refused with its reason."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.schema.codec import tensor_column

__all__ = ["REASONS", "inspect_images", "pixels_of", "refuse_unlabelled", "thumbnail_of"]

REASONS = ("undecodable", "wrong_type", "duplicate", "label_missing")

INSPECTED = T.StructType(
    [
        T.StructField("path", T.StringType(), nullable=False),
        T.StructField("label", T.StringType()),
        T.StructField("content", T.BinaryType(), nullable=False),
        T.StructField("sha256", T.StringType(), nullable=False),
        T.StructField("height", T.IntegerType()),
        T.StructField("width", T.IntegerType()),
        T.StructField("channels", T.IntegerType()),
        T.StructField("sums", T.ArrayType(T.LongType())),
        T.StructField("squares", T.ArrayType(T.LongType())),
        T.StructField("least", T.IntegerType()),
        T.StructField("greatest", T.IntegerType()),
        T.StructField("reason", T.StringType()),
        T.StructField("detail", T.StringType()),
    ]
)

# How files of the formats we decode begin (at most the first 12 bytes).
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_THUMBNAIL_PIXELS = 64


def inspect_images(files: DataFrame) -> DataFrame:
    """Decode every file and add what was found: `INSPECTED`.

    `reason` is null for an image that decodes whole; `wrong_type` for bytes that begin like no image, `undecodable` for
    an image that is broken. `sums` and `squares` are the pixels' by channel (grey: 1, otherwise RGB: 3).
    """
    return files.select("path", "label", "content").mapInArrow(_inspect_batches, INSPECTED)


def refuse_unlabelled(images: DataFrame) -> DataFrame:
    """Refuse the images of which no label is known, as `label_missing`."""
    unlabelled = F.col("reason").isNull() & F.col("label").isNull()
    return images.withColumns(
        {
            "detail": F.when(unlabelled, F.lit("it lies in no class folder, or the label file does not name it")).otherwise(
                F.col("detail")
            ),
            "reason": F.when(unlabelled, F.lit("label_missing")).otherwise(F.col("reason")),
        }
    )


def pixels_of(contents: pa.Array, *, channels: int) -> pa.Array:
    """Return encoded images of one size as a `fixed_shape_tensor` column, uint8 [rows, height, width, channels]."""
    return tensor_column(np.stack([_array(_decoded(bytes(value.as_py())), channels) for value in contents]))


def thumbnail_of(content: bytes) -> bytes | None:
    """Return the image as a PNG of at most 64 × 64 pixels, or None if it cannot be decoded."""
    try:
        image = _decoded(content)
    except _BROKEN:
        return None
    image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


# What Pillow raises for broken data: its own errors are OSErrors, its PNG reader raises SyntaxError, header fields ValueError.
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def _inspect_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    names = [field.name for field in INSPECTED.fields]
    for batch in batches:
        rows = [_inspect(**row) for row in batch.to_pylist()]
        columns = {name: [row.get(name) for row in rows] for name in names}
        arrays = [pa.array(columns[name], _ARROW[name]) for name in names]
        yield pa.RecordBatch.from_arrays(arrays, names)


_ARROW = {
    **dict.fromkeys(("path", "label", "sha256", "reason", "detail"), pa.string()),
    **dict.fromkeys(("height", "width", "channels", "least", "greatest"), pa.int32()),
    **dict.fromkeys(("sums", "squares"), pa.list_(pa.int64())),
    "content": pa.binary(),
}


def _inspect(path: str, label: str | None, content: bytes) -> dict[str, Any]:
    row = {"path": path, "label": label, "content": content, "sha256": hashlib.sha256(content).hexdigest()}
    if not _looks_like_image(content):
        begins = f"its first bytes are {content[:12]!r}" if content else "it is empty"
        return {**row, "reason": "wrong_type", "detail": f"no image format begins like this: {begins}"}
    try:
        image = _decoded(content)
    except _BROKEN as error:
        return {**row, "reason": "undecodable", "detail": str(error)}
    pixels = np.asarray(image).reshape(-1, len(image.getbands())).astype(np.int64)
    return {
        **row,
        "height": image.height,
        "width": image.width,
        "channels": pixels.shape[1],
        "sums": pixels.sum(0).tolist(),
        "squares": (pixels * pixels).sum(0).tolist(),
        "least": int(pixels.min()),
        "greatest": int(pixels.max()),
    }


def _looks_like_image(content: bytes) -> bool:
    return content.startswith(_SIGNATURES) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def _decoded(content: bytes) -> Image.Image:
    """Return the whole image as grey (L) or RGB; raises one of `_BROKEN`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content)) as image:
            if image.mode.startswith(("I", "F")):
                # Pillow would cut every value above 255 down to 255.
                raise ValueError(f"its pixels have more than 8 bits (mode {image.mode}); convert it to 8 bits first")
            image.load()
            return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _array(image: Image.Image, channels: int) -> np.ndarray:
    array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array[:, :, np.newaxis] if array.ndim == 2 else array
