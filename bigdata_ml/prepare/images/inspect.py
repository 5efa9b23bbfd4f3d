"""Inspecting images: every file is decoded once, judged, and brought to the form in which it is kept."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.prepare.images.checks import LEAST_SIDE, ImageChecks, looks_of
from bigdata_ml.prepare.images.decode import ENDINGS, ImageRefused, PictureRules, decode_picture, partial_picture
from bigdata_ml.prepare.images.duplicates.perceptual_hash import perceptual_hash
from bigdata_ml.prepare.images.encode import PictureStorage, in_channels, pixels_of_file, thumbnail, thumbnail_of_file
from bigdata_ml.prepare.session.batches import cut_by_bytes
from bigdata_ml.prepare.session.freed_memory import keep_freed_memory
from bigdata_ml.prepare.sources.packed import Packs
from bigdata_ml.schema.codec import tensor_column

__all__ = ["Inspection", "inspect_images", "inspect_packs", "pixels_of", "refuse_unlabelled", "refused_where", "thumbnail_of"]

INSPECTED = T.StructType(
    [
        T.StructField("path", T.StringType(), nullable=False),
        T.StructField("label", T.StringType()),
        T.StructField("content", T.BinaryType(), nullable=False),
        T.StructField("sha256", T.StringType(), nullable=False),
        T.StructField("height", T.IntegerType()),
        T.StructField("width", T.IntegerType()),
        T.StructField("channels", T.IntegerType()),
        T.StructField("source_pixels", T.LongType()),
        T.StructField("looks_like", T.LongType()),
        T.StructField("sums", T.ArrayType(T.LongType())),
        T.StructField("squares", T.ArrayType(T.LongType())),
        T.StructField("least", T.IntegerType()),
        T.StructField("greatest", T.IntegerType()),
        T.StructField("warnings", T.ArrayType(T.StringType(), containsNull=False), nullable=False),
        T.StructField("thumbnail", T.BinaryType()),
        T.StructField("reason", T.StringType()),
        T.StructField("detail", T.StringType()),
    ]
)

_ARROW = {
    **dict.fromkeys(("path", "label", "sha256", "reason", "detail"), pa.string()),
    **dict.fromkeys(("height", "width", "channels", "least", "greatest"), pa.int32()),
    **dict.fromkeys(("source_pixels", "looks_like"), pa.int64()),
    **dict.fromkeys(("sums", "squares"), pa.list_(pa.int64())),
    **dict.fromkeys(("content", "thumbnail"), pa.binary()),
    "warnings": pa.list_(pa.field("element", pa.string(), nullable=False)),
}
_LEVELS = np.arange(256, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What is asked of images, and how they are kept."""

    rules: PictureRules = field(default_factory=PictureRules)
    checks: ImageChecks = field(default_factory=ImageChecks)
    storage: PictureStorage = field(default_factory=PictureStorage)


def inspect_images(files: DataFrame, inspection: Inspection) -> DataFrame:
    """Decode every file of `files` once and say what was found: `INSPECTED`.

    `files` has path, label, content, and `obstacle`, which says why a file cannot be read, where a source knows of such.

    `reason` is null for an image that is kept. `content` then holds the bytes to store, pixels where the encoding is `raw`,
    and `height`, `width`, `channels` are theirs; `sums`, `squares`, `least` and `greatest` are their pixels', by channel
    (grey: 1, otherwise RGB: 3). `sha256` is the file's, `source_pixels` its number of pixels, `looks_like` its perceptual
    hash (null below 32 pixels and for images that show nothing). A refused row has no content, but a thumbnail if one can be had,
    and what was counted if it was decoded.
    """
    asked = [name for name in ("path", "label", "content", "obstacle") if name in files.columns]
    return files.select(*asked).mapInArrow(partial(_inspect_batches, inspection=inspection), INSPECTED)


def inspect_packs(packs: Packs, inspection: Inspection) -> DataFrame:
    """Read files, and inspect them in the same process, so that their bytes are sent nowhere: `INSPECTED`, without labels."""
    return packs.read_then(partial(_inspect_batches, inspection=inspection), INSPECTED)


def refused_where(condition: Column, reason: str, detail: Column) -> dict[str, Column]:
    """Return the columns that refuse the rows for which `condition` holds, those refused before keeping their reason."""
    again = F.col("reason").isNull() & condition
    return {
        "detail": F.when(again, detail).otherwise(F.col("detail")),
        "reason": F.when(again, F.lit(reason)).otherwise(F.col("reason")),
    }


def refuse_unlabelled(images: DataFrame) -> DataFrame:
    """Refuse the images of which no label is known, as `label_missing`."""
    detail = F.lit("it lies in no class folder, or the label file does not name it")
    return images.withColumns(refused_where(F.col("label").isNull(), "label_missing", detail))


def pixels_of(images: pa.RecordBatch, *, channels: int, raw: bool) -> pa.Array:
    """Return kept images of one size as a `fixed_shape_tensor` column, uint8 [rows, height, width, channels]."""
    return tensor_column(np.stack([_pixels(row, channels, raw=raw) for row in _contents(images)]))


def thumbnail_of(row: dict[str, Any], *, raw: bool) -> bytes | None:
    """Return a row of `INSPECTED` as a PNG of at most 64 × 64 pixels, or None if nothing of it can be seen."""
    if row["thumbnail"] is not None:
        return bytes(row["thumbnail"])
    if row["height"] is None:
        return None
    if not raw:
        return thumbnail_of_file(bytes(row["content"]), row["channels"])
    pixels = _pixels(row, row["channels"], raw=True)
    return thumbnail(Image.fromarray(pixels[:, :, 0] if row["channels"] == 1 else pixels))


def _contents(images: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    # Row by row, since a batch's bytes as Python objects would be held twice.
    narrow = images.select(["content", "height", "width", "channels"])
    return (narrow.slice(row, 1).to_pylist()[0] for row in range(narrow.num_rows))


def _pixels(row: dict[str, Any], channels: int, *, raw: bool) -> np.ndarray:
    content = bytes(row["content"])
    if not raw:
        return pixels_of_file(content, channels)
    # Of a grey image a dataset of coloured ones stores three channels.
    return in_channels(np.frombuffer(content, np.uint8).reshape(row["height"], row["width"], -1), channels)


def _inspect_batches(batches: Iterator[pa.RecordBatch], inspection: Inspection) -> Iterator[pa.RecordBatch]:
    keep_freed_memory()
    names = [one.name for one in INSPECTED.fields]
    for batch in (piece for whole in batches for piece in cut_by_bytes(whole)):
        files = (batch.slice(row, 1).to_pylist()[0] for row in range(batch.num_rows))
        rows = [_inspect(inspection=inspection, **file) for file in files]
        yield pa.RecordBatch.from_arrays([pa.array([row.get(name) for row in rows], _ARROW[name]) for name in names], names)


def _inspect(
    path: str, content: bytes, inspection: Inspection, label: str | None = None, obstacle: str | None = None
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "path": path,
        "label": label,
        "content": b"",
        "sha256": hashlib.sha256(content).hexdigest(),
        "warnings": [],
    }
    if obstacle is not None:
        return {**row, **_refusal(ImageRefused("unreadable", obstacle), None)}
    try:
        decoded = decode_picture(content, inspection.rules)
    except ImageRefused as refused:
        return {**row, **_refusal(refused, partial_picture(content, inspection.rules))}
    image = decoded.image
    grey = image if image.mode == "L" else image.convert("L")
    checks = inspection.checks
    notices = [
        *((name, _NOTES[name]) for name in decoded.notes),
        *_extension(path, decoded.kind),
        *checks.found(looks_of(image, grey)),
    ]
    notices = [(name, detail) for name, detail in notices if name not in checks.ignore]
    refusal = next((notice for notice in notices if notice[0] in checks.refuse), None)
    if refusal is not None:
        seen = {"height": image.height, "width": image.width, "source_pixels": image.height * image.width, **_histogram(image)}
        return {**row, **seen, **_refusal(ImageRefused(*refusal), image)}
    kept = inspection.storage.resized(image)
    return {
        **row,
        **_histogram(kept),
        "content": inspection.storage.bytes_of(kept, decoded, content),
        "height": kept.height,
        "width": kept.width,
        "source_pixels": image.height * image.width,
        "looks_like": perceptual_hash(grey) if min(image.size) >= LEAST_SIDE else None,
        "warnings": [name for name, _ in notices],
    }


_NOTES = {
    "damaged": "the decoder complained of corrupt data and went on",
    "multi_frame": "it holds more than one frame",
}


def _refusal(refused: ImageRefused, seen: Image.Image | None) -> dict[str, Any]:
    picture = None if seen is None else thumbnail(seen)
    return {"reason": refused.reason, "detail": refused.detail, "thumbnail": picture}


def _extension(path: str, kind: str) -> Iterator[tuple[str, str]]:
    _, dot, ending = path.rpartition("/")[2].rpartition(".")
    said = ENDINGS.get(ending.lower()) if dot else None
    if said is not None and said != kind:
        yield "wrong_extension", f"its name says {said}, its content is {kind}"


def _histogram(image: Image.Image) -> dict[str, Any]:
    # By Pillow's counts, which hold no second copy of the pixels.
    counts = np.array(image.histogram(), np.int64).reshape(-1, 256)
    there = np.flatnonzero(counts.sum(0))
    return {
        "channels": len(counts),
        "sums": (counts @ _LEVELS).tolist(),
        "squares": (counts @ (_LEVELS * _LEVELS)).tolist(),
        "least": int(there[0]),
        "greatest": int(there[-1]),
    }
