"""Tiny real datasets and runs for the report's tests."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from bigdata_ml.dataset import Cleaning, Contract, Dataset, PartWriter, QuarantineWriter, Vocabulary, WriteOptions, publish, stage
from bigdata_ml.report import DatasetRecord, EpochRecord, RunDirectory, RunRecord
from bigdata_ml.schema import Codec, Field, Schema

DIGITS = Schema(
    (
        Field(name="image", type=pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1)), codec=Codec.RAW_IMAGE),
        Field(name="label", type=pa.string(), vocabulary=True),
    )
)


def png(shade: int) -> bytes:
    sink = io.BytesIO()
    Image.new("L", (8, 8), shade).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def digits(tmp_path: Path) -> Dataset:
    """Eight raw images of two classes; two rows refused, one of them from a file with a dangerous name."""
    url = str(tmp_path / "digits")
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    rows = pa.record_batch([pa.FixedShapeTensorArray.from_numpy_ndarray(images), ["<b>one", "two"] * 4], schema=DIGITS.to_arrow())
    refused = pa.RecordBatch.from_pylist(
        [
            {"source": "/in/<script>alert(1)</script>.png", "reason": "undecodable", "detail": "no image <i>", "thumbnail": None},
            {"source": "/in/copy.png", "reason": "duplicate", "detail": "same pixels", "thumbnail": png(200)},
        ],
        schema=pa.schema(
            [
                ("source", pa.string()),
                ("reason", pa.string()),
                ("detail", pa.string()),
                ("row", pa.string()),
                ("thumbnail", pa.binary()),
            ]
        ),
    )
    contract = Contract(
        schema=DIGITS,
        label="label",
        vocabularies={"label": Vocabulary(values=("<b>one", "two"), counts=(4, 4), unknown=False)},
        statistics={},
        split_rule=None,
        cleaning=Cleaning(found=10, kept=8, refused={"duplicate": 1, "undecodable": 1, "wrong_type": 0}, warned={"grey": 3}),
        provenance={
            "source": "/in",
            "joins": [{"name": "weather", "keys": ["day"], "rows": 8, "matched": 7, "unmatched": 1, "multiplied": 0}],
        },
    )
    with stage(url) as staging:
        with PartWriter(staging.root, split="train", name="a.parquet", schema=DIGITS, options=WriteOptions()) as writer:
            writer.write(rows)
            part = writer.close()
        quarantine = QuarantineWriter(staging.root, "a.arrow")
        quarantine.write(refused)
        quarantine.close()
        publish(staging, [part], contract, quarantine=[quarantine.path], pages={})
    return Dataset.open(url)


MULTICLASS = {
    "split": "test", "rows": 4, "task": "multiclass", "classes": ["<b>one", "two"], "top1": 0.75, "top5": 1.0,
    "log_loss": 0.5, "majority_accuracy": 0.5, "confusion": [[2, 0], [1, 1]], "seconds": 0.1,
}  # fmt: skip
BINARY = {
    "split": "test", "rows": 4, "task": "binary", "classes": ["false", "true"], "roc_auc": 0.75, "log_loss": 0.6,
    "accuracy": 0.5, "majority_accuracy": 0.5, "confusion": [[1, 1], [1, 1]],
    "roc_curve": {"fpr": [0, 0.5, 1], "tpr": [0, 1, 1]},
    "calibration": {"predicted": [0.2, 0.8], "observed": [0.3, 0.7], "rows": [2, 2]}, "seconds": 0.1,
}  # fmt: skip


def record(**changes: Any) -> RunRecord:
    settings: dict[str, Any] = {
        "recipe": "digits", "task": "multiclass", "config": {"rate": 0.1}, "label": "label", "seed": 1, "device": "cpu",
        "dataset": DatasetRecord(url="/gone", content=None, layout="0"), "world_size": 2, "started": "2025-01-01T00:00:00+00:00",
        "price_per_device_hour": 0.5, "parameters": 1234,
    }  # fmt: skip
    return RunRecord(**{**settings, **changes})


def epoch(number: int, **changes: Any) -> EpochRecord:
    figures: dict[str, Any] = {
        "epoch": number, "steps": 2, "rows": 100, "seconds": 1800.0, "wait_seconds": 180.0, "rows_per_second": 0.055,
        "train_loss": 1.0 / (number + 1), "validation_loss": 1.1, "peak_rss_mb": 100.0 + number,
    }  # fmt: skip
    return EpochRecord(**{**figures, **changes})


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Writes a run of two epochs, half an hour each, at `runs/NAME`."""

    def make(name: str, *, evaluation: dict[str, Any] | None = None, **changes: Any) -> RunDirectory:
        run = RunDirectory(tmp_path / "runs" / name)
        run.write_run(record(**changes))
        for number in range(2):
            run.append_epoch(epoch(number))
        if evaluation is not None:
            run.write_evaluation(evaluation)
        return run

    return make
