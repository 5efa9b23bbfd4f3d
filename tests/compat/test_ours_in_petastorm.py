"""A dataset that we published, opened by Petastorm itself, and by our readers under its names."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from comparing import assert_same
from every_kind import EVERY, publish_every
from tiny import publish_columns, publish_dataset

from bigdata_ml.compat import petastorm as ours
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, Field, Schema


def read_by(petastorm: Any, directory: Path, name: str, **options: Any) -> dict[int, dict[str, Any]]:
    found = {}
    with getattr(petastorm, name)(f"file://{directory}", shuffle_row_groups=False, reader_pool_type="dummy", **options) as reader:
        for item in reader:
            columns = item._asdict() if name == "make_batch_reader" else {key: [one] for key, one in item._asdict().items()}
            for place, key in enumerate(columns["id"]):
                found[int(key)] = {field: values[place] for field, values in columns.items()}
    return found


@pytest.mark.parametrize("name", ["make_reader", "make_batch_reader"])
def test_petastorm_gives_our_rows_and_pixels_as_their_bytes(petastorm: Any, name: str, tmp_path: Path) -> None:
    dataset = publish_dataset(tmp_path / "dataset")
    found = read_by(petastorm, tmp_path / "dataset", name)
    wanted = {
        row["id"]: (split, row["label"], bytes(row["image"]))
        for split in dataset.splits
        for batch in open_reader(dataset.split(split), ReadOptions(shuffle=False, remainder="exact"), global_batch_size=8)
        for row in batch.to_pylist()
    }
    assert {key: (row["split"], row["label"], row["image"]) for key, row in found.items()} == wanted
    assert any(pixels.endswith(b"\0") for _, _, pixels in wanted.values())


@pytest.mark.parametrize("name", ["make_reader", "make_batch_reader"])
@pytest.mark.parametrize("beside", [True, False])
def test_our_readers_give_its_rows_and_pixels_as_arrays(petastorm: Any, name: str, beside: bool, tmp_path: Path) -> None:
    place = tmp_path / "dataset"
    publish_dataset(place)
    wanted = read_by(petastorm, place, name)
    if not beside:
        (place / "_common_metadata").unlink()
    found = read_by(ours, place, name)
    assert found.keys() == wanted.keys()
    for key, row in found.items():
        assert (row["image"].dtype, row["image"].shape) == (np.uint8, (8, 8, 1))
        assert (row["image"].tobytes(), row["split"], row["label"]) == tuple(
            wanted[key][one] for one in ("image", "split", "label")
        )
    part = read_by(ours, place, name, predicate=ours.in_set(["test"], "split"))
    assert part.keys() == {key for key, row in wanted.items() if row["split"] == "test"}


def test_the_kinds_of_fields_below_have_every_codec() -> None:
    assert {kind.field.codec for kind in EVERY} == set(Codec)


@pytest.mark.parametrize("unknown", [False, True], ids=["known", "nulls"])
def test_petastorms_rows_have_our_values_of_every_kind(petastorm: Any, unknown: bool, tmp_path: Path) -> None:
    publish_every(tmp_path / "dataset", unknown=unknown)
    found = read_by(petastorm, tmp_path / "dataset", "make_reader")
    assert len(found) == (3 if unknown else 2)
    for field, _, wanted in EVERY:
        for number, value in enumerate(wanted):
            mine = found[number][field.name]
            if field.codec is Codec.RAW_IMAGE:
                mine = np.frombuffer(mine, np.uint8)
            if isinstance(field.type, pa.FixedShapeTensorType):
                mine = mine.reshape(field.type.shape)
            assert_same(mine, value, field.name)
        if unknown:
            nothing = found[2][field.name]
            assert np.isnan(nothing) if pa.types.is_floating(field.type) else nothing is None, field.name


@pytest.mark.parametrize("unknown", [False, True], ids=["known", "nulls"])
@pytest.mark.parametrize("beside", [True, False])
def test_our_rows_have_the_values_of_every_kind(unknown: bool, beside: bool, tmp_path: Path) -> None:
    publish_every(tmp_path / "dataset", unknown=unknown)
    if not beside:
        (tmp_path / "dataset" / "_common_metadata").unlink()
    found = read_by(ours, tmp_path / "dataset", "make_reader")
    for field, _, wanted in EVERY:
        for number, value in enumerate(wanted):
            assert_same(found[number][field.name], value, field.name)
        if unknown:
            nothing = found[2][field.name]
            assert np.isnan(nothing) if pa.types.is_floating(field.type) else nothing is None, field.name


@pytest.mark.parametrize("unknown", [False, True], ids=["known", "nulls"])
def test_petastorms_batches_have_the_values_as_they_are_stored(petastorm: Any, unknown: bool, tmp_path: Path) -> None:
    publish_every(tmp_path / "dataset", unknown=unknown)
    # Lists whose lengths differ, or that are unknown, it refuses.
    kinds = [kind for kind in EVERY if kind.field.name != "ragged" and not (unknown and pa.types.is_list(kind.field.type))]
    chosen = ["id", *(kind.field.name for kind in kinds)]
    found = read_by(petastorm, tmp_path / "dataset", "make_batch_reader", schema_fields=chosen)
    for field, stored, _ in kinds:
        for number, value in enumerate(stored):
            mine = found[number][field.name]
            if field.codec is Codec.RAW_IMAGE:
                mine, value = bytes(mine), value.tobytes()
            if field.codec is Codec.TENSOR:
                value = value.ravel()
            if isinstance(mine, np.datetime64):
                value = np.datetime64(value)
            assert mine == value if isinstance(value, bytes) else np.array_equal(mine, value), field.name
        if unknown:
            nothing = found[2][field.name]
            assert pd.isna(nothing) or (nothing == "None" and pa.types.is_string(field.type)), field.name


@pytest.mark.parametrize("name", ["ragged", "numbers"])
def test_petastorms_batches_have_no_lists_of_several_lengths_and_no_unknown_ones(
    petastorm: Any, name: str, tmp_path: Path
) -> None:
    publish_every(tmp_path / "dataset", unknown=True)
    with pytest.raises((RuntimeError, AttributeError), match=r"same length|has no attribute 'shape'"):
        read_by(petastorm, tmp_path / "dataset", "make_batch_reader", schema_fields=["id", name])


def test_our_rows_have_more_than_petastorms_metadata_say_and_leave_out_the_rest_in_so_many_words(tmp_path: Path) -> None:
    words = Field(name="words", type=pa.list_(pa.string()), codec=Codec.LIST)
    schema = Schema((Field(name="id", type=pa.int64()), words, Field(name="clock", type=pa.time64("us"))))
    publish_columns(tmp_path / "dataset", schema, {"id": [0], "words": [["a", "b"]], "clock": pa.array([1], pa.time64("us"))})
    (tmp_path / "dataset" / "_common_metadata").unlink()
    with pytest.warns(UserWarning, match=r"leaves out .*'clock' \(time64\[us\]\)"):
        found = read_by(ours, tmp_path / "dataset", "make_reader")
    assert list(found[0]) == ["id", "words"]
    assert found[0]["words"].tolist() == ["a", "b"]
