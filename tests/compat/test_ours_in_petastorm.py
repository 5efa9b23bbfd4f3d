"""A dataset that we published, opened by Petastorm itself, and by our readers under its names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import publish_dataset

from bigdata_ml.compat import petastorm as ours
from bigdata_ml.reader import ReadOptions, open_reader


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
