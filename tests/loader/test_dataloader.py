"""The loader under torch's DataLoader and torchdata's StatefulDataLoader: the same batches, and positions that go on."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from contracts import content_of, ids_of
from loading import draw, loader
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.loader import compose, make_loader, random_crop, random_flip
from bigdata_ml.reader import Mixture, ReadOptions, RowWeights

PROCESSES = (0, 1, 2, 3)
pytestmark = [
    pytest.mark.processes,
    # Said once, on purpose; a test hears it where it is meant.
    pytest.mark.filterwarnings("ignore:each of the DataLoader's:UserWarning"),
    # torchdata 0.11 calls what torch has put away.
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
    # More processes than cores are asked for on purpose.
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # torch forks its worker processes; Python 3.12 says so of every process with threads.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
READ = {"seed": 4, "remainder": "exact", "window": 20}


def plain(dataset: Dataset, processes: int, **settings: Any) -> DataLoader[Any]:
    return DataLoader(loader(dataset, read=READ, **settings), batch_size=None, num_workers=processes)


def stateful(dataset: Dataset, processes: int, **settings: Any) -> Any:
    return StatefulDataLoader(loader(dataset, read=READ, **settings), batch_size=None, num_workers=processes)


def contents(batches: Any) -> list[Any]:
    return [content_of(batch) for batch in batches]


@pytest.fixture
def epochs(train: Dataset) -> list[list[Any]]:
    """Three epochs by the loader alone, with a transform that draws."""
    one = loader(train, read=READ, transform=draw)
    return [contents(one) for _ in range(3)]


@pytest.mark.parametrize("make", [plain, stateful])
@pytest.mark.parametrize("processes", PROCESSES)
def test_it_gives_the_loaders_batches_and_length_epoch_by_epoch(
    train: Dataset, epochs: list[list[Any]], processes: int, make: Callable[..., Any]
) -> None:
    around = make(train, processes, transform=draw)
    assert len(around) == len(epochs[0])
    for epoch, wanted in enumerate(epochs):
        around.dataset.set_epoch(epoch)
        assert contents(around) == wanted


@pytest.mark.parametrize("make", [plain, stateful])
def test_threads_in_the_worker_processes_change_nothing(
    train: Dataset, epochs: list[list[Any]], make: Callable[..., Any]
) -> None:
    assert contents(make(train, 2, transform=draw, num_workers=2)) == epochs[0]


def test_workers_that_are_kept_go_on_with_the_next_epoch(train: Dataset, epochs: list[list[Any]]) -> None:
    one = loader(train, read=READ, transform=draw)
    around = DataLoader(one, batch_size=None, num_workers=2, persistent_workers=True)
    assert [contents(around) for _ in range(3)] == epochs


@pytest.mark.parametrize(
    ("make", "start", "taken", "is_restored"),
    [
        (plain, "fork", 0, False),
        (plain, "fork", 2, True),
        (plain, "spawn", 0, False),
        (stateful, "fork", 0, True),
        (stateful, "fork", 2, False),
    ],
)
def test_one_that_is_moved_after_iter_says_so(
    train: Dataset, make: Callable[..., Any], start: str, taken: int, is_restored: bool
) -> None:
    around = make(train, 1, size=2)
    around.multiprocessing_context = start
    batches = iter(around)
    for _ in range(taken):
        next(batches)
    if is_restored:
        around.dataset.load_state_dict(around.dataset.state_at(0, 3))
    else:
        around.dataset.set_epoch(1)
    with pytest.raises(RuntimeError, match=r"moved \(set_epoch, load_state_dict\) after iter\(\) of the DataLoader"):
        next(batches)
    # The next iteration is where it was moved to.
    assert contents(around) == contents(around.dataset)


def test_workers_that_are_kept_say_so_where_they_cannot_follow(train: Dataset, epochs: list[list[Any]]) -> None:
    one = loader(train, read=READ, transform=draw)
    around = DataLoader(one, batch_size=None, num_workers=2, persistent_workers=True)
    for epoch in range(3):
        one.set_epoch(epoch)
        assert contents(around) == epochs[epoch]
    one.set_epoch(7)
    with pytest.raises(RuntimeError, match="leave out persistent_workers"):
        contents(around)


def test_a_copy_of_a_loader_is_moved_by_itself(train: Dataset, epochs: list[list[Any]]) -> None:
    one = loader(train, read=READ, transform=draw)
    other = copy.deepcopy(one)
    batches = iter(DataLoader(other, batch_size=None, num_workers=1))
    one.set_epoch(1)
    assert contents(batches) == epochs[0]


@pytest.mark.parametrize("processes", PROCESSES)
@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_a_position_named_in_the_main_process_goes_on_with_any_number_of_processes(
    train: Dataset, epochs: list[list[Any]], processes: int, steps: int
) -> None:
    around = plain(train, processes, transform=draw)
    around.dataset.load_state_dict(around.dataset.state_at(1, steps))
    assert contents(around) == (epochs[1][steps:] or epochs[2])


@pytest.mark.parametrize("processes", PROCESSES)
def test_stateful_dataloader_goes_on_after_any_batch(train: Dataset, epochs: list[list[Any]], processes: int) -> None:
    around, states = stateful(train, processes, transform=draw), []
    around.dataset.set_epoch(1)
    for _ in around:
        states.append(copy.deepcopy(around.state_dict()))
    assert len(states) == len(epochs[1])
    for position, state in enumerate(states, start=1):
        # Each start of processes takes a second: the first batches, every third one, and the last.
        if processes and not (position < 3 or position % 3 == 0 or position == len(states)):
            continue
        resumed = stateful(train, processes, transform=draw)
        resumed.dataset.set_epoch(1)
        resumed.load_state_dict(state)
        rest = contents(resumed)
        # After the last batch a loader without processes stands at the next epoch; one with processes ends this one first.
        assert rest == (epochs[1][position:] or (epochs[2] if processes == 0 else []))
        resumed.dataset.set_epoch(2)
        assert contents(resumed) == epochs[2]


@pytest.mark.parametrize("processes", PROCESSES)
def test_stateful_dataloader_neither_skips_nor_repeats_an_epoch_after_its_end(
    train: Dataset, epochs: list[list[Any]], processes: int
) -> None:
    around = stateful(train, processes, transform=draw)
    assert contents(around) == epochs[0]
    state = around.state_dict()
    resumed = stateful(train, processes, transform=draw)
    resumed.load_state_dict(state)
    if processes:
        resumed.dataset.set_epoch(1)
    assert contents(resumed) == epochs[1]


def test_every_worker_says_of_its_state_that_it_is_its_own(train: Dataset) -> None:
    around = stateful(train, 2)
    batches = iter(around)
    next(batches)
    workers = around.state_dict()["_snapshot"]["_worker_snapshots"]
    states = [worker["dataset_state"] for worker in workers.values()]
    assert [(state["step"], state["worker"]) for state in states] == [(2, [0, 2]), (1, [1, 2])]
    with pytest.raises(ResumeMismatch, match=r"in the worker process \[0, 2\] .*of a DataLoader.*state_at"):
        loader(train, read=READ).load_state_dict(json.loads(json.dumps(states[0])))


def test_worker_processes_may_be_spawned(train: Dataset) -> None:
    read, transform = {**READ, "predicate": pc.field("id") > 3}, compose(random_crop(padding=1), random_flip())
    one, other = (loader(train, read=read, transform=transform) for _ in range(2))
    around = DataLoader(other, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert contents(around) == contents(one)


def test_more_processes_than_steps_give_each_step_once(train: Dataset) -> None:
    around = DataLoader(loader(train, size=47, read=READ), batch_size=None, num_workers=3)
    assert [sorted(ids_of(batch)) for batch in around] == [list(range(47))]


def test_an_error_in_a_worker_process_reaches_the_caller(train: Dataset) -> None:
    (Path(train.url) / "split=train/part-1.parquet").unlink()
    with pytest.raises(Exception, match=r"part-1\.parquet row group"):
        list(plain(train, 1))


def test_what_several_processes_cost_is_said_once(train: Dataset) -> None:
    code = f"""
from torch.utils.data import DataLoader
from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions
loader = make_loader(Dataset.open({train.url!r}).split("train"), ReadOptions(), global_batch_size=8)
for epoch in range(3):
    loader.set_epoch(epoch)
    assert len(list(DataLoader(loader, batch_size=None, num_workers=2))) == len(loader)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.count("worker processes reads nearly every row group of") == 1


def test_two_ranks_with_processes_make_the_same_global_batches(train: Dataset) -> None:
    def ranks() -> Iterator[Any]:
        for rank in (0, 1):
            one = loader(train, read=READ, rank=rank, world_size=2)
            yield DataLoader(one, batch_size=None, num_workers=2)

    alone = [ids_of(batch) for batch in loader(train, read=READ)]
    assert [ids_of(left) + ids_of(right) for left, right in zip(*ranks(), strict=True)] == alone


@pytest.mark.parametrize("processes", PROCESSES)
def test_weighted_rows_are_the_same_list_with_any_number_of_processes(train: Dataset, processes: int) -> None:
    read = {**READ, "weights": RowWeights("label", {"ant": 2.5, "cow": 0.3})}
    alone = loader(train, read=read, transform=draw)
    wanted = [contents(alone) for _ in range(3)]
    assert len({len(epoch) for epoch in wanted}) > 1
    around = DataLoader(loader(train, read=read, transform=draw), batch_size=None, num_workers=processes)
    for epoch, batches in enumerate(wanted):
        around.dataset.set_epoch(epoch)
        assert len(around) == len(batches)
        assert contents(around) == batches


@pytest.mark.parametrize("processes", PROCESSES)
def test_a_mixture_is_the_same_list_with_any_number_of_processes(tiny: Dataset, processes: int) -> None:
    mixture = Mixture([(tiny.split("train"), 2), (tiny.split("test"), 1)], stop="all", source="of")
    options, size = ReadOptions(seed=4, window=20), {"global_batch_size": 6, "transform": draw}
    alone = contents(make_loader(mixture, options, **size))
    assert contents(DataLoader(make_loader(mixture, options, **size), batch_size=None, num_workers=processes)) == alone


def test_a_mixture_goes_to_worker_processes_that_are_spawned(tiny: Dataset) -> None:
    mixture = Mixture([(tiny.split("train"), 2), (tiny.split("test"), 1)], source="of")
    one, other = (make_loader(mixture, ReadOptions(), global_batch_size=6) for _ in range(2))
    assert contents(DataLoader(other, batch_size=None, num_workers=1, multiprocessing_context="spawn")) == contents(one)
