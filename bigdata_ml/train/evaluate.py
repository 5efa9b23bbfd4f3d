"""What a model is worth on a split: each row counted once."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.functional.classification import binary_auroc, binary_roc, multiclass_accuracy

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.loader import Loader

__all__ = ["evaluate", "predict"]

_CURVE_POINTS = 200
_CALIBRATION_BINS = 10


def predict(model: nn.Module, loader: Loader, *, label: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return (logits float32 [rows, classes], labels int64 [rows]) of every valid row, on the CPU."""
    model.eval()
    logits, labels = [], []
    with torch.inference_mode():
        for batch in loader:
            valid = batch["valid"]
            logits.append(model(to_device(batch, device)).float().cpu()[valid])
            labels.append(batch[label][valid])
    return torch.cat(logits), torch.cat(labels)


def evaluate(
    model: nn.Module, loader: Loader, *, label: str, classes: Vocabulary, split: str, device: torch.device
) -> dict[str, Any]:
    """Return the evaluation of `model` as the run's `evaluation.json` holds it.

    Two classes are a binary task: ROC-AUC (area under the curve of true against false positive rate, by torchmetrics),
    log loss (mean negative log likelihood in nats), accuracy at 0.5. More are a multiclass task: top-1 and top-5
    accuracy, log loss. Both have the accuracy of always guessing the train split's commonest class, the log loss of always
    giving its shares, and the confusion matrix (rows: true, columns: predicted).
    """
    begin = time.perf_counter()
    logits, labels = predict(model, loader, label=label, device=device)
    # A class that train has not seen gets the share of half a row, since no model may give it none.
    seen = torch.tensor(classes.counts, dtype=torch.float64).clamp(min=0.5)
    found = {
        "split": split,
        "rows": len(labels),
        "classes": [str(value) for value in classes.values],
        "log_loss": float(functional.cross_entropy(logits.double(), labels)),
        "majority_accuracy": float((labels == seen.argmax()).double().mean()),
        "majority_log_loss": float(-(seen / seen.sum()).log()[labels].mean()),
        "confusion": _confusion(logits.argmax(1), labels, classes.size),
    }
    metrics = _binary(logits, labels) if classes.size == 2 else _multiclass(logits, labels, classes.size)
    return {**found, **metrics, "seconds": time.perf_counter() - begin}


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Return the batch with its tensors on `device`."""
    return {name: one.to(device, non_blocking=True) if isinstance(one, Tensor) else one for name, one in batch.items()}


def _multiclass(logits: Tensor, labels: Tensor, classes: int) -> dict[str, Any]:
    top = {f"top{k}": multiclass_accuracy(logits, labels, classes, average="micro", top_k=min(k, classes)) for k in (1, 5)}
    return {"task": "multiclass", **{name: float(value) for name, value in top.items()}}


def _binary(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    share = logits.double().softmax(1)[:, 1]
    false_rate, true_rate, _ = binary_roc(share, labels)
    return {
        "task": "binary",
        "roc_auc": float(binary_auroc(share, labels)),
        "accuracy": float((logits.argmax(1) == labels).double().mean()),
        "roc_curve": {"fpr": _thinned(false_rate), "tpr": _thinned(true_rate)},
        "calibration": _calibration(share, labels),
    }


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


def _confusion(predicted: Tensor, labels: Tensor, classes: int) -> list[list[int]]:
    pairs: list[list[int]] = (
        torch.bincount(labels * classes + predicted, minlength=classes * classes).view(classes, classes).tolist()
    )
    return pairs
