import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import dom_of, needs_browser

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.report import Baseline, DatasetRecord, RunDirectory, write_baseline, write_report

from .conftest import BINARY, MULTICLASS

pytestmark = pytest.mark.processes

MakeRun = Callable[..., RunDirectory]


@pytest.fixture
def page(tmp_path: Path, make_run: MakeRun, digits: Dataset) -> Path:
    """The report of two runs on images and one on a table."""
    assert digits.manifest is not None
    dataset = DatasetRecord(url=digits.url, content=digits.manifest.content, layout=digits.fingerprint)
    make_run("images/seed-1", dataset=dataset, evaluation=MULTICLASS)
    make_run("images/seed-2", dataset=dataset, evaluation=MULTICLASS)
    make_run("table/seed-1", task="binary", evaluation=BINARY)
    baseline = Baseline(name="hgb", title="Boosting", rows=4, metrics={"roc_auc": 0.9}, seconds=1.0)
    write_baseline(tmp_path / "runs" / "table", baseline)
    return write_report(tmp_path / "runs").report_path


def test_the_summary_lies_beside_the_page(page: Path) -> None:
    found = json.loads((page.parent / "summary.json").read_text())
    assert (found["images"]["kept"], found["table"]["hgb_roc_auc"]) == (8, 0.9)


def test_a_file_name_in_the_data_cannot_run(page: Path) -> None:
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<b>one" not in text


def test_the_page_needs_nothing_from_outside(page: Path) -> None:
    text = page.read_text()
    assert not re.findall(r"https?://", text)
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert {source.partition(",")[0] for source in sources if source[0] != "#"} <= {"data:image/png;base64"}


def test_no_id_stands_twice(page: Path) -> None:
    ids = re.findall(r' id="([^"]*)"', page.read_text())
    assert len(ids) == len(set(ids)) > 10


def test_the_best_model_is_named_whoever_it_is(page: Path) -> None:
    assert "By ROC AUC, Boosting is best with 0.9000, 0.1500 ahead of the network." in page.read_text()


def test_a_metric_that_could_not_be_measured_prevents_no_report(tmp_path: Path, make_run: MakeRun) -> None:
    make_run("table/seed-1", task="binary", evaluation={**BINARY, "roc_auc": float("nan")})
    assert "The ROC AUC is not known." in write_report(tmp_path / "runs").report_path.read_text()


def test_an_undefined_metric_is_left_out_of_means_and_said_why(tmp_path: Path, make_run: MakeRun) -> None:
    why = {"undefined": {"roc_auc": "all 4 rows of the test split are of the class false"}}
    make_run("table/seed-1", task="binary", evaluation={**BINARY, "roc_auc": None, "roc_curve": None, **why})
    report = write_report(tmp_path / "runs")
    page, summary = report.report_path.read_text(), json.loads((report.report_path.parent / "summary.json").read_text())
    assert "The ROC AUC is not defined: all 4 rows of the test split are of the class false." in page
    assert (summary["table"]["roc_auc"], summary["table"]["undefined"]) == (None, why["undefined"])
    make_run("table/seed-2", task="binary", evaluation=BINARY)
    assert (
        json.loads((write_report(tmp_path / "runs").report_path.parent / "summary.json").read_text())["table"]["roc_auc"] == 0.75
    )


def test_rows_kept_and_refused_are_shown_with_pictures(page: Path) -> None:
    text = page.read_text()
    assert "10 rows were found = 8 kept + 2 refused" in text
    assert text.count("<img ") == 8 + 1
    assert "duplicate: /in/copy.png" in text


def test_the_cost_is_shown_as_it_is_reckoned(page: Path) -> None:
    assert "2 device-hours × 0.50 USD = 1.00 USD" in page.read_text()


def test_a_dataset_that_is_gone_is_said_on_the_page(page: Path) -> None:
    assert "The dataset cannot be shown. /gone: nothing is there" in page.read_text()


def test_runs_that_have_only_begun_make_a_report(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run("images/seed-1")
    (run.path / "metrics.jsonl").write_text('{"torn')
    text = write_report(tmp_path / "runs").report_path.read_text()
    assert "No run has been evaluated yet." in text
    assert "No epoch has been finished yet." in text
    assert "torn when the run was killed" in text


def test_the_same_runs_give_the_same_page(page: Path) -> None:
    before = page.read_bytes()
    write_report(page.parent)
    assert page.read_bytes() == before


def test_an_unreadable_run_stops_the_report_by_name(tmp_path: Path, make_run: MakeRun) -> None:
    (make_run("images/seed-1").path / "run.json").write_text("{")
    with pytest.raises(MetadataUnreadable, match=r"seed-1/run\.json"):
        write_report(tmp_path / "runs")


@needs_browser
def test_a_browser_shows_the_page(page: Path, tmp_path: Path) -> None:
    dom = dom_of(page, tmp_path / "profile")
    for heading in ("images: cleaning", "images: learning", "table: evaluation", "table: speed and cost", "Provenance"):
        assert f"<h2>{heading}</h2>" in dom
