"""The columns of a dataset of images: their schema, and how they are made of inspected rows."""

from collections.abc import Callable
from functools import partial

import pyarrow as pa

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.images.encode import RAW_BYTES
from bigdata_ml.prepare.images.inspect import pixels_of
from bigdata_ml.prepare.images.steps import Judgement
from bigdata_ml.schema import Codec, Field, Schema

__all__ = ["columns_of", "image_schema"]


def image_schema(judgement: Judgement, *, encoding: str, labels: bool, source: str) -> Schema:
    """Return the fields: image, label where there are `labels`, source, sha256.

    Raises:
        JobRefused: `raw` is asked for and images of the source have several sizes.
    """
    (height, width), channels = judgement.most, judgement.channels
    small = judgement.one_size and height * width * channels <= RAW_BYTES
    if encoding == "raw" and not judgement.one_size:
        raise JobRefused(
            f"{source}: --encoding raw needs images of one size, and there are {judgement.least} and {judgement.most}, "
            "perhaps others; give --size HEIGHTxWIDTH, or use --encoding source and give the size when training"
        )
    if encoding == "raw" or (encoding == "auto" and small):
        kind = pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))
        image = Field(name="image", type=kind, codec=Codec.RAW_IMAGE)
    else:
        image = Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=channels)
    names = ("label", "source", "sha256") if labels else ("source", "sha256")
    return Schema((image, *(Field(name=name, type=pa.string(), vocabulary=name == "label") for name in names)))


def columns_of(schema: Schema, judgement: Judgement, *, raw: bool) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """Return the function that makes the columns on the executors; `raw` says that content is pixels."""
    return partial(_encoded, schema=schema, channels=judgement.channels, raw=raw)


def _encoded(batch: pa.RecordBatch, *, schema: Schema, channels: int, raw: bool) -> pa.RecordBatch:
    as_pixels = schema["image"].codec is Codec.RAW_IMAGE
    image = pixels_of(batch, channels=channels, raw=raw) if as_pixels else batch.column("content")
    columns = {"image": image, "label": batch.column("label"), "source": batch.column("path"), "sha256": batch.column("sha256")}
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], names=list(schema.names))
