"""Read IDX files (http://yann.lecun.com/exdb/mnist) and CIFAR's binary files (https://www.cs.toronto.edu/~kriz/cifar.html)."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile
from bigdata_ml.prepare.sources.image_files.idx_file import read_idx_header, read_idx_items
from bigdata_ml.storage import Location, Tree, list_tree, locate, reading

__all__ = ["cifar", "idx"]

_LABELLED = "path string, label string, content binary"
_PICTURES = 4096
# Bytes of pixels per task.
_PART_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class _Part:
    """Pictures `first` … `first` + `count` − 1 of a file of raw pixels."""

    url: str
    name: str
    labels: str | None
    first: int
    count: int


def idx(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the pictures of IDX files as PNG, with labels from the label file in the same folder.

    The path of a picture is `FILE#NUMBER`. `train-images-idx3-ubyte.gz` has its labels in `train-labels-idx1-ubyte.gz`, with or
    without `.gz`.

    Args:
        spark: the session.
        url: a file of pictures, or a folder of them.
        label_from: `none` for no labels; anything else uses the label files.

    Raises:
        JobRefused: no such file, not a whole IDX file of uint8 pictures, or missing labels.
    """
    root = locate(url)
    names, passed_over = _files(
        root, r"images?[.-]idx3[.-]ubyte(\.gz)?$", "an IDX file of pictures, such as train-images-idx3-ubyte.gz"
    )
    parts: list[_Part] = []
    size = 0
    for name in names:
        place = root / name if name else root
        header = read_idx_header(place, dimensions=3, whole=True)
        labels = None if label_from == "none" else _labels_beside(place, header.count)
        title = name or root.name
        step = max(1, min(_PICTURES, _PART_BYTES // header.item))
        parts += [
            _Part(place.url, title, labels, first, min(step, header.count - first)) for first in range(0, header.count, step)
        ]
        size += header.count * header.item
    return _read(spark, parts, _read_idx, size, root, passed_over)


def cifar(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the pictures of CIFAR's binary files as PNG; labels are names if `*.meta.txt` is in the same folder.

    The path of a picture is `FILE#NUMBER`. CIFAR-10 has one label byte, CIFAR-100 two, of which the second (fine) label is used.
    The size of a file tells which it is, or its name if both fit.

    Args:
        spark: the session.
        url: a `.bin` file or a folder of them.
        label_from: `none` for no labels; anything else uses those in the files.

    Raises:
        JobRefused: no such file, or not a whole number of records.
    """
    root = locate(url)
    parts: list[_Part] = []
    names, passed_over = _files(root, r"\.bin$", "a CIFAR file, such as data_batch_1.bin")
    for name in names:
        place = root / name if name else root
        record = _record_of(place)
        count = place.info().size // record
        kind = None if label_from == "none" else f"{record - 3072}"
        title = name or root.name
        parts += [_Part(place.url, title, kind, first, min(_PICTURES, count - first)) for first in range(0, count, _PICTURES)]
    return _read(spark, parts, _read_cifar, sum(part.count for part in parts) * 3072, root, passed_over)


def _files(root: Location, pattern: str, expected: str) -> tuple[list[str], dict[str, int]]:
    """Return matching files below `root` (itself as an empty name), and the number of skipped files by reason."""
    if root.is_file():
        return [""], {}
    tree = list_tree(root) if root.is_directory() else Tree(())
    visible = tree.visible
    matching = [entry for entry in visible if re.search(pattern, entry.path)]
    for entry in matching:
        if entry.obstacle:
            raise JobRefused(f"{root.url}/{entry.path}: {entry.obstacle}; mend it or take it away")
    names = [entry.path for entry in matching if not entry.same_as]
    if not names:
        raise JobRefused(f"{root.url}: {expected} is not there")
    return names, {
        "hidden": len(tree.files) - len(visible),
        "other_ending": len(visible) - len(matching),
        "linked_again": len(matching) - len(names) + len(tree.linked_again),
    }


def _read(
    spark: SparkSession, parts: list[_Part], read: Any, size: int, root: Location, passed_over: Mapping[str, int]
) -> ImageFiles:
    files = sum(part.count for part in parts)
    if not files:
        raise JobRefused(f"{root.url}: its files hold no pictures")
    rows = [(part.url, part.name, part.labels, part.first, part.count) for part in parts]
    asked = spark.createDataFrame(
        spark.sparkContext.parallelize(rows, len(rows)), "url string, name string, labels string, first long, count long"
    )
    return ImageFiles(rows=_as_rows(asked, read), files=files, bytes=size, passed_over=passed_over)


def _as_rows(asked: DataFrame, read: Any) -> DataFrame:
    def batches(requests: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in requests:
            for row in batch.to_pylist():
                part = _Part(**row)
                pixels, labels = read(part)
                paths = [f"{part.name}#{number}" for number in range(part.first, part.first + part.count)]
                arrays = [
                    pa.array(paths),
                    pa.array(labels or [None] * part.count, pa.string()),
                    pa.array([_png(picture) for picture in pixels], pa.binary()),
                ]
                yield pa.RecordBatch.from_arrays(arrays, ["path", "label", "content"])

    return asked.mapInArrow(batches, _LABELLED)


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _read_idx(part: _Part) -> tuple[np.ndarray, list[str] | None]:
    place = locate(part.url)
    header = read_idx_header(place, dimensions=3)
    data = read_idx_items(place, header, part.first, part.count)
    pixels = np.frombuffer(data, np.uint8).reshape(part.count, *header.shape)
    if part.labels is None:
        return pixels, None
    beside = locate(part.labels)
    known = read_idx_header(beside, dimensions=1)
    return pixels, [str(label) for label in read_idx_items(beside, known, part.first, part.count)]


def _labels_beside(place: Location, count: int) -> str:
    name = re.sub(r"images?([.-])idx3", r"labels\1idx1", place.name)
    plain = name.removesuffix(".gz")
    for candidate in (place.parent / name, place.parent / plain, place.parent / f"{plain}.gz"):
        if candidate.exists():
            known = read_idx_header(candidate, dimensions=1, whole=True)
            if known.count != count:
                raise JobRefused(f"{candidate.url}: holds {known.count} labels, {place.name} {count} pictures")
            return candidate.url
    raise JobRefused(f"{place.url}: the file of its labels, {plain}, is not beside it; --label-from none reads pictures alone")


def _record_of(place: Location) -> int:
    size = place.info().size
    fitting = [record for record in (3073, 3074) if size and size % record == 0]
    if len(fitting) == 2:
        fitting = [3073 if re.search(r"batch", place.name) else 3074]
    if not fitting:
        raise JobRefused(
            f"{place.url}: has {size} bytes, which is no whole number of CIFAR-10's records (3,073) or CIFAR-100's (3,074 bytes)"
        )
    return fitting[0]


def _read_cifar(part: _Part) -> tuple[np.ndarray, list[str] | None]:
    place = locate(part.url)
    record = _record_of(place)
    with reading(place), place.filesystem.open_input_file(place.path) as stream:
        stream.seek(part.first * record)
        data = np.frombuffer(stream.read(part.count * record), np.uint8).reshape(part.count, record)
    pixels = np.ascontiguousarray(data[:, record - 3072 :].reshape(part.count, 3, 32, 32).transpose(0, 2, 3, 1))
    if part.labels is None:
        return pixels, None
    names = _names_beside(place, fine=record == 3074)
    return pixels, [names[number] if number < len(names) else str(number) for number in data[:, record - 3073].tolist()]


def _names_beside(place: Location, *, fine: bool) -> list[str]:
    beside = place.parent / ("fine_label_names.txt" if fine else "batches.meta.txt")
    with reading(beside):
        return beside.read_bytes().decode().split() if beside.exists() else []
