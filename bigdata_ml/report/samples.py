"""Sample pictures of a dataset: some rows of its first row group, from its first image column."""

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.reading import read_group
from bigdata_ml.errors import DecodeFailed
from bigdata_ml.pages import Picture, picture_of
from bigdata_ml.schema import Codec, Field
from bigdata_ml.schema.picture_file import MOST_PIXELS, ImageRefused, kind_of, opened_picture

__all__ = ["sample_pictures"]


def sample_pictures(dataset: Dataset, *, label: str | None, most: int) -> list[Picture]:
    """Return up to `most` pictures, evenly spaced over the first row group (rows may be sorted), captioned by their labels.

    There are none in a dataset without a column of grey or RGB images.

    Raises:
        DatasetInvalid: the file cannot be read.
        DecodeFailed: an image cannot be decoded.
    """
    field = next(filter(_can_be_shown, dataset.schema), None)
    part = dataset.split(dataset.splits[0]) if dataset.splits else dataset
    if field is None or not len(part.row_groups):
        return []
    named = label if label in dataset.schema.names else None
    first_group = part.row_groups.table.slice(0, 1).to_pylist()[0]
    rows = read_group(part, first_group, [field.name] if named is None else [field.name, named])
    rows = rows.filter(rows[field.name].is_valid())
    rows = rows.take(np.linspace(0, rows.num_rows - 1, min(most, rows.num_rows)).astype(np.int64))
    captions = [""] * rows.num_rows if named is None else [str(value) for value in rows[named].to_pylist()]
    images = rows[field.name].combine_chunks()
    return [picture_of(_pixels(images, row, field), caption) for row, caption in enumerate(captions)]


def _can_be_shown(field: Field) -> bool:
    return field.codec is Codec.IMAGE or (field.codec is Codec.RAW_IMAGE and field.type.shape[2] in (1, 3))


def _pixels(images: pa.Array, row: int, field: Field) -> np.ndarray:
    if field.codec is Codec.RAW_IMAGE:
        pixels: np.ndarray = images[row : row + 1].to_numpy_ndarray()[0]
        return pixels
    content = images[row].as_py()
    try:
        with opened_picture(content, kind_of(content), MOST_PIXELS) as opened:
            pixels = np.asarray(opened.convert("L" if field.channels == 1 else "RGB"))
    except ImageRefused as error:
        raise DecodeFailed(f"field {field.name!r} of a sample row cannot be decoded: {error}") from error
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
