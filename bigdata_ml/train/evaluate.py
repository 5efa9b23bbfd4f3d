"""Evaluate a model on a split; each row counts once."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import binary_auroc, binary_roc

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.loader import Loader

__all__ = ["evaluate", "predict"]

_CURVE_POINTS = 200
_CALIBRATION_BINS = 10
_TOP = 5


def predict(model: nn.Module, loader: Loader, *, label: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (logits float32 [rows, classes], labels int64 [rows]) of every valid row, on the CPU."""
    logits, labels = zip(*_batches(model, loader, label=label, device=device), strict=True)
    return torch.cat(logits), torch.cat(labels)


def evaluate(
    model: nn.Module, loader: Loader, *, label: str, classes: Vocabulary, split: str, device: torch.device
) -> dict[str, Any]:
    """Return the evaluation of `model` as the run's `evaluation.json` holds it.

    Two classes are a binary task: ROC-AUC (area under the curve of true against false positive rate, by torchmetrics),
    log loss (mean negative log likelihood in nats), accuracy at 0.5. More are a multiclass task: top-1 and top-5
    accuracy, log loss. Both have the accuracy of always guessing the train split's most frequent class, the log loss of always
    predicting its shares, and the confusion matrix (rows: true, columns: predicted). An undefined metric, such as the
    ROC-AUC of one class, is None, and `undefined` maps its name to the reason.

    Raises:
        DatasetInvalid: the split has no valid row.
    """
    begin = time.perf_counter()
    totals = _Totals(classes)
    for logits, labels in _batches(model, loader, label=label, device=device):
        totals.add(logits, labels)
    if not totals.rows:
        raise DatasetInvalid(f"the {split} split has no valid row to evaluate a model by; check which rows were skipped")
    return {"split": split, **totals.metrics(split), "seconds": time.perf_counter() - begin}


class _Totals:
    """Sums over the rows of a split; of each row only what the ROC curve of a binary task needs is kept."""

    def __init__(self, classes: Vocabulary) -> None:
        self._classes, self._size = classes, classes.size
        # A class without a row in train gets the share of half a row: a share of 0 has no finite log.
        seen = torch.tensor(classes.counts, dtype=torch.float64).clamp(min=0.5)
        self._guess, self._guess_logs = int(seen.argmax()), (seen / seen.sum()).log()
        self._confusion = torch.zeros(self._size * self._size, dtype=torch.int64)
        self._loss = self._guess_loss = 0.0
        self._in_top = 0
        self._shares: list[Tensor] = []
        self._labels: list[Tensor] = []

    @property
    def rows(self) -> int:
        """Rows so far."""
        return int(self._confusion.sum())

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count some rows."""
        self._loss += float(functional.cross_entropy(logits.double(), labels, reduction="sum"))
        self._guess_loss -= float(self._guess_logs[labels].sum())
        pairs = labels * self._size + logits.argmax(1)
        self._confusion += torch.bincount(pairs, minlength=self._size * self._size)
        if self._size == 2:
            self._shares.append(logits.double().softmax(1)[:, 1])
            self._labels.append(labels.bool())
        elif self._size >= _TOP:
            self._in_top += int((logits.topk(_TOP, dim=1).indices == labels[:, None]).sum())

    def metrics(self, split: str) -> dict[str, Any]:
        """Return all figures; an undefined one is None, and `undefined` gives the reason."""
        confusion = self._confusion.view(self._size, self._size)
        by_class, rows = confusion.sum(1), self.rows
        metrics: dict[str, Any] = {
            "rows": rows,
            "classes": [str(value) for value in self._classes.values],
            "log_loss": self._loss / rows,
            "majority_accuracy": float(by_class[self._guess]) / rows,
            "majority_log_loss": self._guess_loss / rows,
            "confusion": confusion.tolist(),
        }
        right = float(confusion.diagonal().sum()) / rows
        if self._size == 2:
            metrics |= {"task": "binary", "accuracy": right, **_ranking(torch.cat(self._shares), torch.cat(self._labels))}
        else:
            top = self._in_top / rows if self._size >= _TOP else None
            metrics |= {"task": "multiclass", "top1": right, f"top{_TOP}": top}
        return {**metrics, "undefined": self._undefined(metrics, by_class, split)}

    def _undefined(self, metrics: dict[str, Any], by_class: Tensor, split: str) -> dict[str, str]:
        """Return the reason for each undefined metric."""
        why = {}
        if "roc_auc" in metrics and metrics["roc_auc"] is None:
            only = metrics["classes"][int(by_class.argmax())]
            why["roc_auc"] = f"all {self.rows} rows of the {split} split are of the class {only}, and it compares two"
        if f"top{_TOP}" in metrics and metrics[f"top{_TOP}"] is None:
            why[f"top{_TOP}"] = f"there are {self._size} classes, so that every guess of {_TOP} is right"
        return why


def _batches(model: nn.Module, loader: Loader, *, label: str, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (logits, labels) of the valid rows, batch by batch, on the CPU."""
    model.eval()
    for batch in loader:
        valid = batch["valid"]
        # Entered per batch, so that the caller's mode holds in between.
        with torch.inference_mode():
            logits = model(to_device(batch, device)).float().cpu()[valid]
        yield logits, batch[label][valid]


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the batch with its tensors on `device`."""
    return {name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value for name, value in batch.items()}


def _ranking(share: Tensor, labels: Tensor) -> dict[str, Any]:
    """Return the ROC curve, its area and the calibration; curve and area need rows of both classes."""
    metrics: dict[str, Any] = {"roc_auc": None, "roc_curve": None, "calibration": _calibration(share, labels)}
    if labels.any() and not labels.all():
        false_rate, true_rate, _ = binary_roc(share, labels.long())
        metrics["roc_auc"] = float(binary_auroc(share, labels.long()))
        metrics["roc_curve"] = {"fpr": _thinned(false_rate), "tpr": _thinned(true_rate)}
    return metrics


def _thinned(values: Tensor) -> list[float]:
    places = torch.linspace(0, len(values) - 1, min(_CURVE_POINTS, len(values))).round().long()
    return [round(value, 6) for value in values[places].tolist()]


def _calibration(share: Tensor, labels: Tensor) -> dict[str, list[float]]:
    """Return mean prediction and observed share by tenths of the predicted probability; empty tenths are left out."""
    bins = (share * _CALIBRATION_BINS).long().clamp(max=_CALIBRATION_BINS - 1)
    rows = torch.bincount(bins, minlength=_CALIBRATION_BINS)
    predicted = torch.bincount(bins, weights=share, minlength=_CALIBRATION_BINS)
    observed = torch.bincount(bins, weights=labels.double(), minlength=_CALIBRATION_BINS)
    used = rows > 0
    return {
        "predicted": (predicted[used] / rows[used]).tolist(),
        "observed": (observed[used] / rows[used]).tolist(),
        "rows": rows[used].tolist(),
    }
