"""A run: its files, its resumption to the bit, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from tiny import CLASSES, contract_of, make_rows, publish_columns, publish_dataset, write_part

from bigdata_ml.dataset import Dataset, Vocabulary, publish, stage
from bigdata_ml.errors import DatasetInvalid, JobRefused, ResumeMismatch, SchemaMismatch, StorageUnavailable, TrainingFailed
from bigdata_ml.report import EpochRecord
from bigdata_ml.schema import Field, Schema
from bigdata_ml.train import RECIPES, TrainConfig, recipe, train
from bigdata_ml.train.checkpoint import save_checkpoint

pytestmark = pytest.mark.processes

# What holds on a processor holds on a GPU, where there is one.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MEASURED = {"seconds", "wait_seconds", "rows_per_second", "peak_rss_mb"}
IMAGES = TrainConfig(
    model="first_network", epochs=3, global_batch_size=8, learning_rate=2e-3, hidden=(16,), dropout=0.2, augment=1, num_workers=2
)
TABLE = TrainConfig(model="table_network", epochs=3, global_batch_size=8, learning_rate=2e-3, hidden=(8,), dropout=0.2)
KILLED = """
import os, sys, signal
sys.path.insert(0, sys.argv[1])
from test_trainer import DEVICE, IMAGES
from bigdata_ml.dataset import Dataset
from bigdata_ml.train import train
from torch.optim.optimizer import register_optimizer_step_post_hook
moment, steps = sys.argv[4], []
def in_the_middle(*_):  # an epoch has 5 steps
    steps.append(1)
    if moment == "in the middle" and len(steps) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
def at_the_end(figures):
    if moment == "at the end" and figures.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)
register_optimizer_step_post_hook(in_the_middle)
train(IMAGES, Dataset.open(sys.argv[2]), sys.argv[3], recipe="first_network", seed=5, device=DEVICE, on_epoch=at_the_end)
"""


class Stopped(Exception):
    """Raised to leave a run in its middle."""


def stop_after(epoch: int) -> Any:
    def stop(figures: EpochRecord) -> None:
        if figures.epoch == epoch:
            raise Stopped

    return stop


def run(dataset: Dataset, run_dir: Path, config: TrainConfig = IMAGES, **settings: Any) -> dict[str, Any]:
    return train(config, dataset, run_dir, **{"recipe": config.model, "seed": 5, "device": DEVICE, **settings})


def outcome(run_dir: Path) -> tuple[Any, Any, Any]:
    """Weights, metrics without what the clock measures, evaluation without it."""
    state = torch.load(run_dir / "checkpoint.pt", weights_only=True)
    weights = {
        name: one.cpu().numpy().tobytes()
        for name, one in {**state["model"], **{f"best.{name}": one for name, one in state["best"]["model"].items()}}.items()
    }
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if name not in MEASURED} for line in lines]
    evaluation = json.loads((run_dir / "evaluation.json").read_text())
    return weights, metrics, {name: value for name, value in evaluation.items() if name not in MEASURED}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return publish_dataset(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="module")
def whole(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    run(dataset, run_dir)
    return run_dir


def test_a_run_writes_its_files(whole: Path) -> None:
    assert sorted(one.name for one in whole.iterdir()) == ["checkpoint.pt", "evaluation.json", "metrics.jsonl", "run.json"]
    record = json.loads((whole / "run.json").read_text())
    assert (record["recipe"], record["seed"], record["label"], record["task"]) == ("first_network", 5, "label", "multiclass")
    _, metrics, evaluation = outcome(whole)
    assert [line["epoch"] for line in metrics] == [0, 1, 2]
    assert (evaluation["split"], evaluation["rows"], evaluation["classes"]) == ("test", 13, list(CLASSES))


def test_the_same_seed_gives_the_same_model_and_another_seed_another(dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    run(dataset, tmp_path / "same")
    run(dataset, tmp_path / "other", seed=6)
    assert outcome(tmp_path / "same") == outcome(whole)
    assert outcome(tmp_path / "other")[0] != outcome(whole)[0]


def test_the_number_of_workers_does_not_change_the_model(dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    run(dataset, tmp_path / "run", replace(IMAGES, num_workers=0))
    assert outcome(tmp_path / "run") == outcome(whole)


@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_a_run_that_was_stopped_after_an_epoch_ends_as_if_it_had_not_been(
    dataset: Dataset, whole: Path, tmp_path: Path, stopped: int
) -> None:
    with pytest.raises(Stopped):
        run(dataset, tmp_path, on_epoch=stop_after(stopped))
    run(dataset, tmp_path, resume=True)
    assert outcome(tmp_path) == outcome(whole)


def test_figures_written_before_the_checkpoint_was_are_not_doubled(dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(dataset, tmp_path, on_epoch=stop_after(0))
    lines = tmp_path / "metrics.jsonl"
    lines.write_text(lines.read_text() + lines.read_text().replace('"epoch": 0', '"epoch": 1') + '{"epoch": 2, "torn')
    run(dataset, tmp_path, resume=True)
    assert outcome(tmp_path) == outcome(whole)


@pytest.mark.parametrize(("moment", "ended"), [("in the middle", 1), ("at the end", 2)])
def test_a_run_that_was_killed_in_its_second_epoch_ends_as_if_it_had_not_been(
    dataset: Dataset, whole: Path, tmp_path: Path, moment: str, ended: int
) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", KILLED, str(here), dataset.url, str(tmp_path / "run"), moment]
    killed = subprocess.run(command, env={"PYTHONPATH": f"{here}:{here.parent}", "PATH": ""}, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == ended
    run(dataset, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(whole)


def test_resuming_a_finished_run_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    run(dataset, tmp_path)
    before = outcome(tmp_path)
    run(dataset, tmp_path, resume=True)
    assert outcome(tmp_path) == before


def test_resuming_where_there_is_no_run_begins_one(dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    run(dataset, tmp_path, resume=True)
    assert outcome(tmp_path) == outcome(whole)


def test_a_directory_that_holds_a_run_is_refused_and_left_alone(dataset: Dataset, whole: Path) -> None:
    before = outcome(whole)
    with pytest.raises(ValueError, match="--resume"):
        run(dataset, whole)
    assert outcome(whole) == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("seed", {"seed": 6}),
        ("config", {"config": replace(IMAGES, learning_rate=1e-3)}),
        ("config", {"config": replace(IMAGES, epochs=9)}),
        ("recipe", {"recipe": "mine"}),
    ],
)
def test_resuming_with_another_setting_is_refused_by_name(
    dataset: Dataset, whole: Path, name: str, change: dict[str, Any]
) -> None:
    with pytest.raises(ResumeMismatch, match=f"{name} differs"):
        run(dataset, whole, resume=True, **change)


def test_resuming_on_another_dataset_is_refused_by_name(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ResumeMismatch, match="dataset differs"):
        run(publish_dataset(tmp_path / "other", files=1), whole, resume=True)


def test_a_checkpoint_of_another_version_is_refused(dataset: Dataset, whole: Path, tmp_path: Path) -> None:
    state = torch.load(whole / "checkpoint.pt", weights_only=True)
    torch.save({**state, "version": 2}, tmp_path / "checkpoint.pt")
    with pytest.raises(ResumeMismatch, match=r"version 2.* 1"):
        run(dataset, tmp_path, resume=True)


def test_a_table_learns_from_its_categories_and_numbers(dataset: Dataset, tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        schema = Schema(tuple(one for one in dataset.schema if one.name != "image"))
        parts = [
            write_part(
                staging.root, make_rows(24, first=first).select(schema.names), split=split, name="a.parquet", schema=schema
            )
            for split, first in (("train", 0), ("validation", 24), ("test", 48))
        ]
        statistics = {"weight": dataset.manifest.statistics["weight"]}
        publish(staging, parts, contract_of(72, schema=schema, statistics=statistics), quarantine=[], pages={})
    evaluation = run(Dataset.open(tmp_path / "d"), tmp_path / "run", TABLE)
    assert evaluation["rows"] == 24


def test_a_dataset_without_manifest_is_refused_with_the_way_out(plain: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"has no manifest.*--label"):
        run(plain, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_label_is_refused(tmp_path: Path) -> None:
    dataset = publish_columns(tmp_path / "d", Schema((Field(name="x", type=pa.int64()),)), {"x": [1, 2]})
    with pytest.raises(DatasetInvalid, match="has no label"):
        run(dataset, tmp_path / "run")


@pytest.mark.parametrize(
    ("vocabulary", "text"),
    [
        (Vocabulary(values=CLASSES, counts=(1, 1, 1), unknown=True), "unknown"),
        (Vocabulary(values=("ant",), counts=(1,), unknown=False), "only the classes"),
    ],
)
def test_a_label_of_unknown_or_single_classes_is_refused(tmp_path: Path, vocabulary: Vocabulary, text: str) -> None:
    schema = Schema((Field(name="label", type=pa.string(), vocabulary=True),))
    dataset = publish_columns(tmp_path / "d", schema, {"label": ["ant"]}, label="label", vocabularies={"label": vocabulary})
    with pytest.raises(DatasetInvalid, match=text):
        run(dataset, tmp_path / "run")


def test_a_dataset_that_lacks_splits_is_refused_naming_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="lacks the splits validation, test"):
        run(publish_dataset(tmp_path / "d", splits={"train": make_rows(9)}), tmp_path / "run")


def test_fewer_rows_than_a_batch_are_refused(tmp_path: Path) -> None:
    splits = {name: make_rows(5, first=first) for name, first in (("train", 0), ("validation", 5), ("test", 10))}
    with pytest.raises(DatasetInvalid, match="the train split has 5 rows, fewer than one batch of 8"):
        run(publish_dataset(tmp_path / "d", splits=splits), tmp_path / "run")


def test_images_without_statistics_are_refused(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        splits = (("train", 0), ("validation", 24), ("test", 48))
        parts = [write_part(staging.root, make_rows(24, first=first), split=split, name="a.parquet") for split, first in splits]
        publish(staging, parts, contract_of(72, statistics={}), quarantine=[], pages={})
    with pytest.raises(SchemaMismatch, match="statistics"):
        run(Dataset.open(tmp_path / "d"), tmp_path / "run")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_a_config_for_a_dataset(dataset: Dataset, name: str) -> None:
    assert recipe(name)(dataset).model == name


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no recipe 'nope'; the recipes are first_network, table_network"):
        recipe("nope")


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"global_batch_size": 0}, {"learning_rate": 0.0}, {"dropout": 1.0}, {"label_smoothing": -0.1}]
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(IMAGES, **change)


@pytest.mark.parametrize("config", [IMAGES, TABLE])
def test_a_loss_that_is_no_number_ends_the_run_by_name(dataset: Dataset, tmp_path: Path, config: TrainConfig) -> None:
    with pytest.raises(TrainingFailed, match=r"epoch 1 .*--learning-rate"):
        run(dataset, tmp_path, replace(config, learning_rate=1e30))
    assert not (tmp_path / "evaluation.json").exists()
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_batch_of_one_row_cannot_be_normalised(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="global_batch_size must be 2"):
        run(dataset, tmp_path, replace(TABLE, global_batch_size=1))


def _torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("change", [_torn, lambda content: b"", lambda content: b"no checkpoint", lambda content: content[:-30]])
def test_a_checkpoint_that_cannot_be_read_is_refused_by_name(dataset: Dataset, whole: Path, tmp_path: Path, change: Any) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(change((whole / "checkpoint.pt").read_bytes()))
    with pytest.raises(ResumeMismatch, match=r"checkpoint\.pt: cannot be read"):
        run(dataset, tmp_path, resume=True)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}}, {"optimizer": {}}, {"loader": {}}, {"loader": 3}, {"identity": None}, {"generators": {}},
        {"generators": {"cpu": torch.zeros(3, dtype=torch.uint8), "cuda": []}}, {"generators": {"cpu": 7, "cuda": []}},
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_kind_is_refused_by_name(dataset: Dataset, whole: Path, tmp_path: Path, change: Any) -> None:
    state = torch.load(whole / "checkpoint.pt", weights_only=True)
    torch.save({**state, **change}, tmp_path / "checkpoint.pt")
    with pytest.raises(ResumeMismatch, match=r"checkpoint\.pt"):
        run(dataset, tmp_path, resume=True)
    torch.save([1, 2], tmp_path / "checkpoint.pt")
    with pytest.raises(ResumeMismatch, match="list"):
        run(dataset, tmp_path, resume=True)


def test_a_checkpoint_that_cannot_be_put_in_place_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").mkdir()
    with pytest.raises(StorageUnavailable, match="--resume"):
        save_checkpoint(tmp_path, {"model": {}})
    assert [one.name for one in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_two_trainings_of_one_directory_are_refused_and_a_dead_ones_is_not(dataset: Dataset, tmp_path: Path) -> None:
    def again(_: EpochRecord) -> None:
        with pytest.raises(JobRefused, match=f"process {os.getpid()}"):
            run(dataset, tmp_path, TABLE, resume=True)

    run(dataset, tmp_path, TABLE, on_epoch=again)
    killed = "import os, sys; from pathlib import Path; from bigdata_ml.train.run_lock import run_lock\n"
    killed += "with run_lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    run(dataset, tmp_path, TABLE, resume=True)
