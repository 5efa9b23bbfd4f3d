from pathlib import Path

import pytest

from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.report import RunDirectory

from .conftest import BINARY, epoch, record


def test_a_run_reads_back_what_it_wrote(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.write_run(record())
    run.append_epoch(epoch(0))
    run.write_evaluation(BINARY)
    assert (run.read_run(), run.read_epochs().records, run.read_evaluation()) == (record(), (epoch(0),), BINARY)


def test_a_torn_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.append_epoch(epoch(0))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1, "st')
    found = run.read_epochs()
    assert (found.records, found.torn) == ((epoch(0),), '{"epoch": 1, "st')


def test_appending_after_a_torn_line_cuts_it_off(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.append_epoch(epoch(0))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1, "st')
    run.append_epoch(epoch(1))
    assert run.read_epochs().records == (epoch(0), epoch(1))


def test_resuming_drops_the_epochs_that_are_measured_again(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for number in range(4):
        run.append_epoch(epoch(number))
    assert run.drop_epochs_from(2) == 2
    assert run.read_epochs().records == (epoch(0), epoch(1))


def test_a_loss_that_is_not_finite_is_written_as_null(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.append_epoch(epoch(0, train_loss=float("nan")))
    assert run.read_epochs().records[0].train_loss is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 99}'])
def test_an_unreadable_run_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(MetadataUnreadable, match=r"run\.json"):
        RunDirectory(tmp_path).read_run()


def test_a_broken_line_in_the_middle_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("{}\nnonsense\n")
    with pytest.raises(MetadataUnreadable, match=r"metrics\.jsonl line 2"):
        RunDirectory(tmp_path).read_epochs()


def test_an_evaluation_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="roc_curve, calibration missing"):
        RunDirectory(tmp_path).write_evaluation({key: BINARY[key] for key in BINARY if key not in ("roc_curve", "calibration")})


def test_a_run_without_evaluation_has_none(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path).read_evaluation() is None


def test_writing_leaves_no_temporary_file(tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_run(record())
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
