import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bigdata_ml.dataset import Dataset
from bigdata_ml.report import Baseline, DatasetRecord, RunDirectory, summarise, write_baseline

from .conftest import BINARY, MULTICLASS

MakeRun = Callable[..., RunDirectory]


def of(dataset: Dataset) -> DatasetRecord:
    return DatasetRecord(
        url=dataset.url, content=dataset.manifest.content if dataset.manifest else None, layout=dataset.fingerprint
    )


def test_runs_are_grouped_by_the_directory_that_holds_them(tmp_path: Path, make_run: MakeRun) -> None:
    for name in ("images/seed-1", "images/seed-2", "alone"):
        make_run(name)
    found = summarise(tmp_path / "runs")
    assert (found["images"]["runs"], found["alone"]["runs"]) == (2, 1)
    assert summarise(tmp_path / "runs" / "alone").keys() == {"version", "alone", "seconds", "peak_rss_mb"}


def test_a_groups_score_is_the_mean_and_sample_deviation_of_its_runs(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("images/seed-1", evaluation={**MULTICLASS, "top1": 0.5})
    make_run("images/seed-2", evaluation={**MULTICLASS, "top1": 0.7})
    found = summarise(tmp_path / "runs")["images"]
    assert found["top1_mean"] == pytest.approx(0.6)
    assert found["top1_std"] == pytest.approx(0.02**0.5)


def test_one_run_has_no_deviation(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("table/seed-1", task="binary", evaluation=BINARY)
    found = summarise(tmp_path / "runs")["table"]
    assert (found["roc_auc"], found["roc_auc_std"]) == (0.75, 0.0)


def test_baselines_beside_the_runs_belong_to_their_group(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("table/seed-1", task="binary", evaluation=BINARY)
    baseline = Baseline(name="hgb", title="Boosting", rows=4, metrics={"roc_auc": 0.9, "log_loss": 0.3}, seconds=1.0)
    write_baseline(tmp_path / "runs" / "table", baseline)
    found = summarise(tmp_path / "runs")["table"]
    assert (found["hgb_roc_auc"], found["hgb_log_loss"]) == (0.9, 0.3)


def test_rows_come_from_the_datasets_manifest(tmp_path: Path, make_run: MakeRun, digits: Dataset) -> None:
    make_run("images/seed-1", dataset=of(digits))
    found = summarise(tmp_path / "runs")["images"]
    assert (found["found"], found["kept"], found["adds_up"], found["problems"]) == (10, 8, True, [])
    assert found["refused"] == {"duplicate": 1, "undecodable": 1, "wrong_type": 0}


def test_a_dataset_that_is_gone_is_said_and_prevents_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("images/seed-1")
    found = summarise(tmp_path / "runs")["images"]
    assert found["kept"] is None
    assert "/gone: nothing is there" in found["problems"][0]


def test_a_dataset_that_was_moved_is_found_in_the_roots_given(tmp_path: Path, make_run: MakeRun, digits: Dataset) -> None:
    moved = DatasetRecord(url="/elsewhere/digits", content=of(digits).content, layout=of(digits).layout)
    make_run("images/seed-1", dataset=moved)
    assert summarise(tmp_path / "runs", dataset_roots=[str(tmp_path)])["images"]["kept"] == 8


def test_another_dataset_in_the_same_place_is_not_taken_for_the_runs_own(
    tmp_path: Path, make_run: MakeRun, digits: Dataset
) -> None:
    make_run("images/seed-1", dataset=DatasetRecord(url=digits.url, content="other", layout="other"))
    found = summarise(tmp_path / "runs")["images"]
    assert found["kept"] is None
    assert "another dataset" in found["problems"][0]


def test_speed_and_cost_are_sums_over_the_runs(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("images/seed-1")
    make_run("images/seed-2")
    found = summarise(tmp_path / "runs")["images"]
    assert (found["train_seconds"], found["stall"], found["rows_per_second"]) == (7200, 0.1, 400 / 7200)
    assert (found["device_hours"], found["cost"], found["currency"]) == (4.0, 2.0, "USD")


def test_currencies_are_not_added(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("images/seed-1")
    make_run("images/seed-2", currency="EUR")
    assert summarise(tmp_path / "runs")["images"]["cost"] is None


def test_time_and_memory_are_those_of_the_runs_or_of_the_steps_if_measured(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("images/seed-1")
    found = summarise(tmp_path / "runs")
    assert (found["seconds"], found["peak_rss_mb"]) == (3600, 101)
    steps = [{"step": "prepare", "seconds": 5, "peak_rss_mb": 900}, {"step": "train", "seconds": 6, "peak_rss_mb": 500}]
    (tmp_path / "runs" / "steps.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    found = summarise(tmp_path / "runs")
    assert (found["seconds"], found["peak_rss_mb"]) == (11, 900)


def test_a_directory_without_runs_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs a directory with runs .* give the --run-dir"):
        summarise(tmp_path)


def test_runs_of_different_tasks_make_no_group(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("mixed/seed-1")
    make_run("mixed/seed-2", task="binary")
    with pytest.raises(ValueError, match="must have one task"):
        summarise(tmp_path / "runs")


def test_a_group_cannot_take_the_name_of_a_figure(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("seconds/seed-1")
    with pytest.raises(ValueError, match="rename that directory"):
        summarise(tmp_path / "runs")
