"""Executors and Python workers that are lost in the middle of a job: what is published is as if nothing had happened."""

from collections.abc import Callable, Iterator, Set
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from local_cluster import LocalCluster, local_cluster, open_parts
from prepare.pictures import save

from bigdata_ml.dataset import Dataset, validate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

RULES = """
columns:
  a: {range: {min: 0, max: 900}}
  b: {not_null: {otherwise: fill, fill: 0.5}}
  city: {normalise: {case: lower}, set: [bern, rome, oslo]}
duplicates: {key: [id], keep: most_complete}
"""
_CITIES = ("bern", "Rome", "OSLO", "ulm")

# Arguments by kind of job: images, images whose near duplicates are looked for, table.
Jobs = dict[str, dict[str, Any]]
Outcome = tuple[object, ...]


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "published" / "dataset")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with local_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """The arguments of a job of each kind, the dataset apart; its source has rows to refuse, to fill and to drop."""
    place = tmp_path_factory.mktemp("sources")
    for index in range(240):
        save(place / "images" / ("ant" if index % 2 else "bee") / f"{index}.png", index % 230, 40, 40, 3)
    for index in range(5):
        (place / f"images/ant/broken{index}.png").write_bytes(b"no picture %d" % index)
    (place / "table").mkdir()
    for part in range(8):
        rows = [part * 1000 + row for row in range(1000)]
        lines = [f"{one % 7990},{one % 1000},{'' if one % 50 == 3 else one / 7},{_CITIES[one % 4]},{one % 3}" for one in rows]
        (place / f"table/{part}.csv").write_text("\n".join(["id,a,b,city,y", *lines, ""]))
    (place / "rules.yaml").write_text(RULES)
    table = {"source": str(place / "table"), "label": "y", "rules": str(place / "rules.yaml"), "row_group_bytes": 4096}
    images = {"source": str(place / "images"), "row_group_bytes": 65536}
    return {"near": images, "images": {**images, "near_duplicates": "ignore"}, "table": table}


@pytest.fixture(scope="module")
def undisturbed(jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Outcome]]:
    """What a job publishes in Spark's local mode, in a process of its own: the other tests' sessions have other settings."""
    place = tmp_path_factory.mktemp("undisturbed")
    with local_cluster(place, master="local[2]") as spark:

        @cache
        def outcome(kind: str) -> Outcome:
            spark.start(kind, dataset=str(place / "datasets" / kind), **jobs[kind])
            assert "error" not in spark.outcome()
            return outcome_of(place / "datasets" / kind)

        yield outcome


def outcome_of(place: Path) -> Outcome:
    """Return what may not depend on what happened to the job: content, counts, which rows lie in quarantine."""
    dataset = Dataset.open(place)
    assert dataset.manifest is not None
    manifest = dataset.manifest
    quarantine = dataset.quarantine().drop_columns("thumbnail").to_pylist()
    counts = {name: one.rows for name, one in manifest.splits.items()}
    return manifest.content, manifest.cleaning, counts, sorted(quarantine, key=lambda row: str(sorted(row.items(), key=str)))


def assert_undisturbed(place: Path, wanted: Outcome, *, lost: Set[str] = frozenset()) -> None:
    """Hold what was published against what should be; it must have no file that belongs to nothing, and none that is `lost`."""
    assert outcome_of(place) == wanted
    assert validate(place) == []
    dataset = Dataset.open(place)
    assert dataset.manifest is not None
    there = {str(path.relative_to(place)) for path in place.rglob("*.parquet")}
    assert there == set(dataset.row_groups.files)
    assert lost.isdisjoint(Path(path).name for path in there)
    beside = {str(path.relative_to(place)) for path in place.rglob("*.arrow")}
    sides = (*dataset.manifest.quarantine, *dataset.manifest.ledger)
    assert beside == {dataset.manifest.row_groups.path, *(side.path for side in sides)}
    assert [path.name for path in place.parent.iterdir()] == [place.name]


@pytest.mark.parametrize("kind", ["near", "table"])
def test_executors_of_their_own_publish_what_the_local_mode_does(
    cluster: LocalCluster, jobs: Jobs, undisturbed: Callable[[str], Outcome], out: str, kind: str
) -> None:
    cluster.start(kind, dataset=out, **jobs[kind])
    assert "rows" in cluster.outcome()
    assert_undisturbed(Path(out), undisturbed(kind))


# Of a folder of images the first thing Spark keeps is what the first task has decoded; of a table the rows that were read.
@pytest.mark.parametrize(("kind", "first"), [("near", "shuffle_*.data"), ("table", "rdd_*")])
def test_an_executor_killed_while_rows_are_read_loses_and_repeats_none(
    cluster: LocalCluster, jobs: Jobs, undisturbed: Callable[[str], Outcome], out: str, kind: str, first: str
) -> None:
    known, lost = cluster.scratch_files(first), cluster.said().count("Lost executor")
    cluster.start(kind, dataset=out, **jobs[kind])
    executor = cluster.wait_for(lambda: cluster.holder(first, known=known))
    assert not list(Path(out).parent.glob("**/*.parquet"))
    executor.kill()
    assert "rows" in cluster.outcome()
    assert cluster.said().count("Lost executor") > lost
    assert_undisturbed(Path(out), undisturbed(kind))


@pytest.mark.parametrize("kind", ["images", "table"])
def test_an_executor_killed_while_it_writes_loses_and_repeats_no_row(
    cluster: LocalCluster, jobs: Jobs, undisturbed: Callable[[str], Outcome], out: str, kind: str
) -> None:
    lost = cluster.said().count("Lost executor")
    cluster.start(kind, dataset=out, **jobs[kind])
    worker = cluster.wait_for(lambda: cluster.writer(Path(out)))
    parts = open_parts(worker, Path(out))
    cluster.executor_of(worker).kill()
    # Its worker is left over, and writes on until it finds that nobody listens.
    worker.resume()
    assert "rows" in cluster.outcome()
    assert cluster.said().count("Lost executor") > lost
    assert_undisturbed(Path(out), undisturbed(kind), lost=parts)


def test_a_python_worker_killed_while_it_writes_loses_and_repeats_no_row(
    cluster: LocalCluster, jobs: Jobs, undisturbed: Callable[[str], Outcome], out: str
) -> None:
    cluster.start("images", dataset=out, **jobs["images"])
    worker = cluster.wait_for(lambda: cluster.writer(Path(out)))
    parts = open_parts(worker, Path(out))
    worker.kill()
    assert "rows" in cluster.outcome()
    assert "Python worker exited unexpectedly" in cluster.said()
    assert_undisturbed(Path(out), undisturbed("images"), lost=parts)
