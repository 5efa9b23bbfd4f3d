import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xxhash
from tiny import publish_dataset

from bigdata_ml.dataset import Dataset, RowGroups, validate
from bigdata_ml.errors import BigDataMLError, ChecksumMismatch, MetadataUnreadable

MANIFEST = "_bigdata_ml/manifest.json"


def written(dataset: Dataset) -> dict[str, Any]:
    return json.loads((Path(dataset.url) / MANIFEST).read_bytes())


def forge_table(dataset: Dataset, table: pa.Table) -> None:
    """Give a dataset another row-group table, and a manifest that agrees with its bytes."""
    data, manifest = RowGroups(table).to_bytes(), written(dataset)
    (Path(dataset.url) / manifest["row_groups"]["path"]).write_bytes(data)
    manifest["row_groups"]["checksum"] = xxhash.xxh3_128_hexdigest(data)
    manifest["checksum"] = None
    (Path(dataset.url) / MANIFEST).write_text(json.dumps(manifest))


def with_values(name: str, value: Any, kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    def edit(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        values = pa.array([value] * table.num_rows, kind or table.schema.field(name).type)
        return table.set_column(place, name, values)

    return edit


TABLES = {
    "column 'rows' adds up": with_values("rows", 1 << 61),
    "column 'rows' holds -5": with_values("rows", -5),
    "column 'rows' holds nulls": with_values("rows", None),
    "column 'rows' is double": with_values("rows", 3.5, pa.float64()),
    "bytes do not lie in a file": with_values("length", 1 << 40),
    "column 'offset' holds -1": with_values("offset", -1),
    "column 'split' is int64": with_values("split", 7, pa.int64()),
    "column 'path' is binary": with_values("path", b"\xff", pa.binary()),
    "column 'row_group' holds -1": with_values("row_group", -1),
    "'../b' leaves the dataset": with_values("path", "../b"),
    "'_bigdata_ml/manifest.json' leaves the dataset": with_values("path", MANIFEST),
    "is listed twice": lambda table: pa.concat_tables([table, table]),
    "which is no checksum": with_values("checksum", "0" * 31),
    "rows, its row groups 0": lambda table: table.slice(0, 0),
    "split 'else' is in its row groups only": with_values("split", "else"),
    "column 'min.id' is string": with_values("min.id", "x", pa.string()),
    "least 'id' of a row group is above": with_values("min.id", 10**9),
    "the manifest says 71 rows, its row groups": with_values("rows", 3),
}


@pytest.mark.parametrize("text", TABLES)
def test_a_row_group_table_that_cannot_be_true_is_refused_and_found(tiny: Dataset, text: str) -> None:
    forge_table(tiny, TABLES[text](tiny.row_groups.table))
    with pytest.raises(MetadataUnreadable) as raised:
        Dataset.open(tiny.url)
    assert text in str(raised.value)
    assert any(text in str(finding) for finding in validate(tiny.url))


def test_a_row_group_table_whose_offsets_leave_its_buffers_is_refused(tiny: Dataset) -> None:
    data = bytearray(tiny.row_groups.to_bytes())
    column = tiny.row_groups.table["path"].chunk(0)
    offsets = column.buffers()[1].to_pybytes()[: 4 * len(column) + 4]
    place = data.find(offsets)
    data[place + 4 : place + 8] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(MetadataUnreadable, match="here: the row-group table cannot be read"):
        RowGroups.from_bytes(bytes(data), url="here")


def test_a_changed_manifest_is_told_by_its_own_checksum(tiny: Dataset) -> None:
    place = Path(tiny.url) / MANIFEST
    place.write_text(place.read_text().replace('"label": "label"', '"label": "city"'))
    with pytest.raises(MetadataUnreadable, match="its checksum is"):
        Dataset.open(tiny.url)
    place.write_text(json.dumps({name: value for name, value in written(tiny).items() if name != "checksum"}))
    assert Dataset.open(tiny.url).label == "city"


ODD = (True, -1, 1.5, "many", None, [], {}, [[]], 10**400, -(2**63), 1e308)


KEYS = ("rows", "splits", "schema", "statistics", "vocabularies", "fingerprints", "row_groups", "quarantine", "cleaning")


def test_odd_values_in_a_manifest_are_read_or_refused_by_name(tiny: Dataset) -> None:
    good = {**written(tiny), "checksum": None}
    place, refused = Path(tiny.url) / MANIFEST, 0
    for key in KEYS:
        for odd in ODD:
            for forged in ({**good, key: odd}, {**good, key: _with_odd_leaf(good[key], odd)}):
                place.write_text(json.dumps(forged))
                try:
                    Dataset.open(tiny.url)
                except MetadataUnreadable:
                    refused += 1
    assert refused > 8 * 2 * len(KEYS)


def _with_odd_leaf(value: Any, odd: Any) -> Any:
    """Return a value with its first leaf replaced."""
    if isinstance(value, dict) and value:
        name = next(iter(value))
        return {**value, name: _with_odd_leaf(value[name], odd)}
    if isinstance(value, list) and value:
        return [_with_odd_leaf(value[0], odd), *value[1:]]
    return odd


BROKEN = ("[" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, '{"rows": NaN}', '{"rows": 1, "rows": 2}', "\ufeff{}", "1" * 10**5)


@pytest.mark.parametrize("text", BROKEN)
def test_text_that_is_no_plain_json_is_no_manifest(tiny: Dataset, text: str) -> None:
    (Path(tiny.url) / MANIFEST).write_text(text)
    with pytest.raises(MetadataUnreadable, match=r"manifest.json"):
        Dataset.open(tiny.url)


def test_changed_quarantine_files_are_refused_before_they_are_parsed(tiny: Dataset) -> None:
    place = Path(tiny.url) / written(tiny)["quarantine"][0]["path"]
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    with pytest.raises(ChecksumMismatch, match=place.name):
        tiny.quarantine()


def flip_metadata(root: Path, seeds: range) -> None:
    """Open a dataset of which one side file has other bytes under a checksum that agrees; errors are ours, or nothing differs."""
    good = root / "good"
    expected = Dataset.open(good)
    manifest = written(expected)
    for seed in seeds:
        print(seed, flush=True)
        chance = random.Random(seed)
        forged = json.loads(json.dumps(manifest))
        side = chance.choice([forged["row_groups"], forged["quarantine"][0], None])
        path = good / (MANIFEST if side is None else side["path"])
        data = bytearray(before := path.read_bytes())
        for _ in range(chance.choice((1, 1, 2, 4))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        if side is not None:
            side["checksum"], forged["checksum"] = xxhash.xxh3_128_hexdigest(bytes(data)), None
            (good / MANIFEST).write_text(json.dumps(forged))
        try:
            dataset = Dataset.open(good)
            dataset.row_groups.table.to_pylist()
            dataset.quarantine().to_pylist()
            pc.sum(dataset.row_groups.table["rows"])
            if side is None and dataset.manifest != expected.manifest:
                raise SystemExit(f"seed {seed}: another manifest passes")
        except BigDataMLError:
            pass
        path.write_bytes(before)
        (good / MANIFEST).write_text(json.dumps(manifest))


def test_no_changed_byte_of_the_metadata_ends_the_interpreter(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "good", files=1)
    call = f"from test_forged_metadata import *; flip_metadata(Path({str(tmp_path)!r}), range(250))"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"seed {ended.stdout.split()[-1:]}: {ended.stderr[-1000:]}"
