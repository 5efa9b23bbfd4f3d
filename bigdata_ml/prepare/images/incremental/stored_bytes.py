"""The images that a dataset stores, by content: read again from its row groups, each held against its checksum."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.reading import GROUP_COLUMNS, read_published_group
from bigdata_ml.errors import DatasetInvalid, JobRefused
from bigdata_ml.schema import Codec
from bigdata_ml.storage import locate

__all__ = ["stored_bytes"]

_TASK_BYTES = 64 << 20
_GROUP = "path string, row_group int, rows long, offset long, length long, checksum string, file_bytes long, file_checksum string"


def stored_bytes(spark: SparkSession, dataset: Dataset, *, as_files: bool, way_out: str) -> DataFrame:
    """Return `sha256` and `stored` of every row of a dataset of images: a file's bytes, or its pixels.

    Args:
        spark: the session.
        dataset: as the image job publishes it.
        as_files: whether pixels are made files (PNG), of which a reader gets the same pixels.
        way_out: what to do about a row group that is damaged, for the error.
    """
    table = dataset.row_groups.table.select(list(GROUP_COLUMNS))
    tasks = -(-sum(table["length"].to_pylist()) // _TASK_BYTES)
    groups = spark.sparkContext.parallelize([tuple(row.values()) for row in table.to_pylist()], max(1, tasks))
    image = dataset.schema["image"]
    shape = tuple(image.type.shape) if image.codec is Codec.RAW_IMAGE else None
    read = _Read(dataset.url, shape, as_files=as_files, way_out=way_out)
    return spark.createDataFrame(groups, _GROUP).mapInArrow(read, "sha256 string, stored binary")


@dataclass(frozen=True, slots=True)
class _Read:
    """Reads row groups on the executors."""

    url: str
    shape: tuple[int, ...] | None  # of pixels; None where files are stored
    as_files: bool
    way_out: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        root = locate(self.url)
        for batch in batches:
            for record in batch.to_pylist():
                try:
                    table = read_published_group(root, record, ("image", "sha256"))
                except DatasetInvalid as error:
                    raise JobRefused(f"{error}; {self.way_out}") from error
                for part in table.to_batches():
                    images = part.column("image")
                    if images.type != pa.binary():
                        raise JobRefused(f"{self.url}: holds images as {images.type}, as earlier versions wrote; {self.way_out}")
                    if self.shape is not None and self.as_files:
                        images = pa.array([_png(image.as_buffer(), self.shape) for image in images], pa.binary())
                    yield pa.RecordBatch.from_arrays([part.column("sha256"), images], ["sha256", "stored"])


def _png(data: pa.Buffer, shape: tuple[int, ...]) -> bytes:
    stream, pixels = io.BytesIO(), np.frombuffer(data, np.uint8).reshape(shape)
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
