"""Datasets that Petastorm wrote, as batches of tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions

DATASET = Path(__file__).parent.parent / "data" / "petastorm" / "0.13.1" / "dataset"


def test_arrays_and_images_are_tensors_of_their_own_dtype() -> None:
    columns = ("small", "matrix", "packed", "png", "grey", "deep", "deep_colour", "grey_jpeg", "words", "packed_ragged")
    (batch,) = make_loader(Dataset.open(DATASET), ReadOptions(columns=columns), global_batch_size=4)
    found = {name: (values.dtype, tuple(values.shape)) for name, values in batch.items() if isinstance(values, torch.Tensor)}
    assert found == {
        "small": (torch.uint8, (4,)),
        "matrix": (torch.float32, (4, 2, 3)),
        "packed": (torch.float64, (4, 4)),
        "packed_valid": (torch.bool, (4,)),
        "png": (torch.uint8, (4, 8, 6, 3)),
        "grey": (torch.uint8, (4, 8, 6)),
        "grey_valid": (torch.bool, (4,)),
        "deep": (torch.uint16, (4, 8, 6)),
        "deep_colour": (torch.uint16, (4, 4, 5, 3)),
        "grey_jpeg": (torch.uint8, (4, 16, 16)),
        "valid": (torch.bool, (4,)),
    }
    assert sorted(len(words) for words in batch["words"]) == [0, 1, 2, 3]


@pytest.mark.parametrize("column", ["jpeg", "ragged"])
def test_values_of_differing_shapes_name_the_field_and_the_way_out(column: str) -> None:
    loader = make_loader(Dataset.open(DATASET), ReadOptions(columns=(column,)), global_batch_size=4)
    with pytest.raises(ValueError, match=rf"field '{column}': the values of a batch have \d shapes.*transform"):
        next(iter(loader))


def test_a_transform_makes_them_equal() -> None:
    def padded(sample: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {**sample, "ragged": np.resize(sample["ragged"], (4, 2))}

    loader = make_loader(Dataset.open(DATASET), ReadOptions(columns=("ragged", "words")), global_batch_size=4, transform=padded)
    (batch,) = loader
    assert batch["ragged"].shape == (4, 4, 2)
    assert isinstance(batch["words"], list)


def test_images_of_16_bits_are_not_resized_in_silence() -> None:
    loader = make_loader(Dataset.open(DATASET), ReadOptions(columns=("deep",), image_size=(4, 4)), global_batch_size=4)
    with pytest.raises(Exception, match="16 bits are not resized"):
        next(iter(loader))


def test_images_are_resized_to_one_size() -> None:
    (batch,) = make_loader(Dataset.open(DATASET), ReadOptions(columns=("jpeg", "grey"), image_size=(4, 6)), global_batch_size=4)
    assert (tuple(batch["jpeg"].shape), tuple(batch["grey"].shape)) == ((4, 4, 6, 3), (4, 4, 6))
