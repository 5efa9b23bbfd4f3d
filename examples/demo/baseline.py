"""The model a table network has to be measured against: scikit-learn's HistGradientBoosting on the same split and fields."""

import argparse
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, decode_batch, open_reader
from bigdata_ml.report import Baseline, write_baseline

# Its bins are bytes: categories with more values than that enter as plain numbers.
MOST_CATEGORIES = 255


def fields_of(dataset: Dataset) -> tuple[list[str], list[bool]]:
    """Return the fields to learn from, and which of them are categories."""
    manifest = dataset.manifest
    if manifest is None or dataset.label is None:
        raise SystemExit(f"{dataset.url}: has no manifest with a label; prepare it by jobs/prepare_table.py")
    described = {*manifest.vocabularies, *manifest.statistics} - {dataset.label}
    names = [name for name in dataset.schema.names if name in described]
    categories = [name in manifest.vocabularies and manifest.vocabularies[name].size <= MOST_CATEGORIES for name in names]
    return names, categories


def load(dataset: Dataset, split: str, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (float64 [rows, fields], int64 labels [rows]) of a split."""
    rows = dataset.split(split)
    schema = dataset.schema.select([*names, str(dataset.label)])
    (batch,) = open_reader(rows, ReadOptions(shuffle=False, columns=schema.names), global_batch_size=rows.rows)
    columns = decode_batch(batch, schema, dataset.vocabularies)
    return np.stack([columns[name].astype(np.float64) for name in names], axis=1), columns[str(dataset.label)]


def main() -> None:
    """Fit on `train`, measure on `test`, write baselines/hgb.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--group-dir", required=True, help="directory that holds the runs it is compared with")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dataset = Dataset.open(arguments.dataset)
    names, categories = fields_of(dataset)
    begin = time.perf_counter()
    model = HistGradientBoostingClassifier(random_state=arguments.seed, categorical_features=categories)
    model.fit(*load(dataset, "train", names))
    features, labels = load(dataset, "test", names)
    shares = model.predict_proba(features)[:, 1]
    metrics = {
        "roc_auc": float(roc_auc_score(labels, shares)),
        "log_loss": float(log_loss(labels, shares)),
        "accuracy": float(accuracy_score(labels, shares > 0.5)),
    }
    seconds = time.perf_counter() - begin
    title = "HistGradientBoosting (scikit-learn)"
    write_baseline(arguments.group_dir, Baseline(name="hgb", title=title, rows=len(labels), metrics=metrics, seconds=seconds))
    print(f"{title}: test {', '.join(f'{name} {value:.4f}' for name, value in metrics.items())}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
