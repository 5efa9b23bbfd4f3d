"""Evaluation: every row once, and the figures of scikit-learn."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn import metrics
from tiny import publish_columns
from torch import Tensor, nn

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.loader import Loader, make_loader
from bigdata_ml.reader import ReadOptions
from bigdata_ml.schema import Field, Schema
from bigdata_ml.train import evaluate, predict

CPU = torch.device("cpu")


class Known(nn.Module):
    """Returns the logits that were drawn for each row's id, and keeps the ids it was asked for."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        return self.logits[batch["id"]]


def vocabulary(classes: int) -> Vocabulary:
    """Classes c0, c1 …, of which train has seen the last most often."""
    return Vocabulary(values=tuple(f"c{one}" for one in range(classes)), counts=tuple(range(1, classes + 1)), unknown=False)


def labelled(place: Path, labels: np.ndarray, classes: int) -> Dataset:
    names = tuple(f"c{one}" for one in range(classes))
    schema = Schema((Field(name="id", type=pa.int64()), Field(name="label", type=pa.string(), vocabulary=True)))
    known = {"label": Vocabulary(values=names, counts=(1,) * classes, unknown=False)}
    columns = {"id": np.arange(len(labels)), "label": [names[one] for one in labels]}
    return publish_columns(place, schema, columns, label="label", vocabularies=known)


def drawn(place: Path, rows: int, classes: int, *, seed: int, size: int) -> tuple[np.ndarray, np.ndarray, Known, Loader]:
    random = np.random.default_rng(seed)
    labels, logits = random.integers(0, classes, rows), random.normal(0, 2, (rows, classes)).astype(np.float32)
    read = ReadOptions(shuffle=seed % 2 == 0, remainder="exact")
    return labels, logits, Known(logits), make_loader(labelled(place, labels, classes), read, global_batch_size=size)


def softmax(logits: np.ndarray) -> np.ndarray:
    return torch.from_numpy(logits).double().softmax(1).numpy()


@pytest.mark.parametrize("size", [1, 8, 37, 64])
def test_each_row_is_counted_once_whatever_the_batch(tmp_path: Path, size: int) -> None:
    labels, logits, model, loader = drawn(tmp_path / "d", 37, 3, seed=1, size=size)
    found, truth = predict(model, loader, label="label", device=CPU)
    assert np.array_equal(found.numpy(), logits)
    assert truth.tolist() == labels.tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_multiclass_figures_are_those_of_scikit_learn(tmp_path: Path, seed: int) -> None:
    labels, logits, model, loader = drawn(tmp_path / "d", 200, 7, seed=seed, size=64)
    found = evaluate(model, loader, label="label", classes=vocabulary(7), split="test", device=CPU)
    classes = list(range(7))
    assert (found["task"], found["rows"]) == ("multiclass", 200)
    assert found["top1"] == pytest.approx(metrics.accuracy_score(labels, logits.argmax(1)))
    assert found["top5"] == pytest.approx(metrics.top_k_accuracy_score(labels, logits, k=5, labels=classes))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, softmax(logits), labels=classes))
    assert found["confusion"] == metrics.confusion_matrix(labels, logits.argmax(1), labels=classes).tolist()
    # Of always guessing what train has seen most, not what test has.
    assert found["majority_accuracy"] == pytest.approx((labels == 6).mean())
    shares = np.tile(np.arange(1, 8) / 28, (200, 1))
    assert found["majority_log_loss"] == pytest.approx(metrics.log_loss(labels, shares, labels=classes))


@pytest.mark.parametrize("seed", [0, 1])
def test_binary_figures_are_those_of_scikit_learn(tmp_path: Path, seed: int) -> None:
    labels, logits, model, loader = drawn(tmp_path / "d", 200, 2, seed=seed, size=64)
    found = evaluate(model, loader, label="label", classes=vocabulary(2), split="test", device=CPU)
    share = softmax(logits)[:, 1]
    assert (found["task"], found["rows"]) == ("binary", 200)
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, share))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, share))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, share > 0.5))
    assert found["confusion"] == metrics.confusion_matrix(labels, share > 0.5).tolist()


def test_the_curve_and_the_calibration_describe_the_same_predictions(tmp_path: Path) -> None:
    labels, logits, model, loader = drawn(tmp_path / "d", 300, 2, seed=3, size=64)
    found = evaluate(model, loader, label="label", classes=vocabulary(2), split="test", device=CPU)
    curve, calibration = found["roc_curve"], found["calibration"]
    assert metrics.auc(curve["fpr"], curve["tpr"]) == pytest.approx(found["roc_auc"], abs=0.01)
    assert sum(calibration["rows"]) == 300
    assert np.average(calibration["observed"], weights=calibration["rows"]) == pytest.approx(labels.mean())
    assert np.average(calibration["predicted"], weights=calibration["rows"]) == pytest.approx(softmax(logits)[:, 1].mean())


def test_fewer_than_five_classes_have_no_top5_and_it_is_said_why(tmp_path: Path) -> None:
    labels, logits, model, loader = drawn(tmp_path / "d", 20, 3, seed=1, size=8)
    found = evaluate(model, loader, label="label", classes=vocabulary(3), split="test", device=CPU)
    assert (found["top5"], list(found["undefined"])) == (None, ["top5"])
    assert found["top1"] == pytest.approx(metrics.accuracy_score(labels, logits.argmax(1)))


@pytest.mark.parametrize("label", [0, 1])
def test_the_roc_auc_of_one_class_is_none_and_it_is_said_why(tmp_path: Path, label: int) -> None:
    logits = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    dataset = labelled(tmp_path / "d", np.full(20, label), 2)
    loader = make_loader(dataset, ReadOptions(remainder="exact", shuffle=False), global_batch_size=8)
    found = evaluate(Known(logits), loader, label="label", classes=vocabulary(2), split="test", device=CPU)
    assert (found["roc_auc"], found["roc_curve"], list(found["undefined"])) == (None, None, ["roc_auc"])
    assert f"all 20 rows of the test split are of the class c{label}" in found["undefined"]["roc_auc"]
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == label).mean())
    assert sum(found["calibration"]["rows"]) == 20
