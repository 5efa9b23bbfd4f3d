"""What differs between two versions is said, and what does not is not."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from tiny import contract_of, publish_dataset, replace_dataset

from bigdata_ml.dataset import Cleaning, Contract, Manifest, Statistics, Vocabulary
from bigdata_ml.prepare.publish.drift import drift_section, find_shifts, history_with, manifest_before
from bigdata_ml.schema import Field, Schema
from bigdata_ml.storage import locate


def before(tmp_path: Path) -> Manifest:
    publish_dataset(tmp_path / "d")
    found = manifest_before(locate(tmp_path / "d"))
    assert found is not None
    return found


def contract(old: Manifest, **changes: Any) -> Contract:
    same = {"schema": old.schema, "vocabularies": old.vocabularies, "statistics": old.statistics, "cleaning": old.cleaning}
    return replace(contract_of(71, refused=1), **{**same, **changes})


def test_the_same_dataset_has_no_drift(tmp_path: Path) -> None:
    old = before(tmp_path)
    assert find_shifts(old, contract(old)) == []
    assert "Nothing differs" in str(drift_section(old, []))


def test_means_nulls_values_refusals_and_fields_that_differ_are_named(tmp_path: Path) -> None:
    old = before(tmp_path)
    weight = old.statistics["weight"]
    statistics = {
        **old.statistics,
        "weight": replace(weight, mean=(weight.mean[0] + weight.std[0],), nulls=weight.count),
        "image": replace(old.statistics["image"], mean=(old.statistics["image"].mean[0] + 1,)),
    }
    label = Vocabulary(values=("ant", "bee", "cow"), counts=(8, 1, 1), unknown=False)
    found = find_shifts(
        old,
        contract(
            old,
            schema=Schema((*(one for one in old.schema if one.name != "note"), Field(name="new", type=pa.int64()))),
            statistics=statistics,
            vocabularies={**old.vocabularies, "label": label},
            cleaning=Cleaning(found=100, kept=71, refused={"undecodable": 1, "duplicate": 28}),
        ),
    )
    said = {(one.what, one.kind): (one.before, one.now, round(one.size, 3)) for one in found}
    assert said == {
        ("weight", "mean"): ("6", "9", 1.0),
        ("weight", "nulls"): ("10.00%", "50.00%", 0.4),
        ("label", "values"): ("ant: 33.3%", "ant: 80.0%", 0.467),
        ("duplicate", "refused"): ("0.00%", "28.00%", 0.28),
        ("note", "field"): ("there", "not there", 1.0),
        ("new", "field"): ("not there", "there", 1.0),
    }
    assert [one.size for one in found] == sorted((one.size for one in found), reverse=True)
    assert "duplicate" in str(drift_section(old, found))


def test_a_field_that_was_constant_has_moved_if_its_mean_has(tmp_path: Path) -> None:
    old = before(tmp_path)
    constant = Statistics(count=9, nulls=1, mean=(6.0,), std=(0.0,), least=6.0, greatest=6.0)
    earlier = replace(old, statistics={"weight": constant})
    now = {"weight": replace(constant, mean=(7.0,))}
    assert [one.what for one in find_shifts(earlier, contract(earlier, statistics=now))] == ["weight"]
    assert find_shifts(earlier, contract(earlier)) == []


def test_the_history_grows_by_a_version_at_a_time(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    place = locate(tmp_path / "d")
    for number in (1, 2):
        ((path, data),) = history_with(place, contract_of(60 + number, refused=number), {"train": 60 + number}).items()
        (place / path).write_bytes(data)
        known = json.loads(data)
        assert [one["kept"] for one in known] == [61, 62][:number]
        assert known[-1]["refused"] == {"undecodable": number}
    replace_dataset(tmp_path / "d", 4)
    assert len(json.loads((place / path).read_bytes())) == 2


def test_where_no_manifest_can_be_read_there_is_none(tmp_path: Path) -> None:
    assert manifest_before(locate(tmp_path / "nothing")) is None
    publish_dataset(tmp_path / "d")
    (tmp_path / "d/_bigdata_ml/manifest.json").write_text("{")
    assert manifest_before(locate(tmp_path / "d")) is None
