import json
from pathlib import Path
from typing import Any

import pytest

from bigdata_ml.dataset import Cleaning, Dataset, Manifest, Vocabulary
from bigdata_ml.errors import MetadataUnreadable


def written(dataset: Dataset) -> dict[str, Any]:
    """Return a manifest as it was written before it had a checksum of itself."""
    manifest = json.loads((Path(dataset.url) / "_bigdata_ml/manifest.json").read_bytes())
    del manifest["checksum"]
    return manifest


def read(manifest: dict[str, Any]) -> Manifest:
    return Manifest.from_bytes(json.dumps(manifest).encode(), url="there/manifest.json")


def test_a_manifest_survives_being_written_and_read(tiny: Dataset) -> None:
    assert Manifest.from_bytes(tiny.manifest.to_bytes(), url="here") == tiny.manifest


def test_the_manifest_says_what_was_published(tiny: Dataset) -> None:
    manifest = written(tiny)
    assert (manifest["format"], manifest["version"], manifest["rows"]) == ("bigdata_ml", 1, 71)
    assert manifest["splits"]["train"] == {"rows": 47, "row_groups": 10, "files": 2}
    assert manifest["cleaning"]["refused"] == {"undecodable": 1}


def test_a_newer_version_is_refused_by_name(tiny: Dataset) -> None:
    with pytest.raises(MetadataUnreadable, match=r"there/manifest.json: written in format version 2, this library reads up to 1"):
        read({**written(tiny), "version": 2})


def test_unknown_keys_are_ignored_at_every_level(tiny: Dataset) -> None:
    manifest = written(tiny)
    manifest["later"] = 1
    for part in ("cleaning", "fingerprints", "row_groups"):
        manifest[part]["later"] = 1
    for part in ("splits", "vocabularies", "statistics"):
        next(iter(manifest[part].values()))["later"] = 1
    manifest["schema"][0]["later"] = manifest["quarantine"][0]["later"] = 1
    assert read(manifest) == tiny.manifest


@pytest.mark.parametrize("key", ["version", "format", "schema", "rows", "splits", "fingerprints", "row_groups", "cleaning"])
def test_a_manifest_that_lacks_a_key_is_unreadable_by_name(tiny: Dataset, key: str) -> None:
    manifest = written(tiny)
    del manifest[key]
    with pytest.raises(MetadataUnreadable, match=f"there/manifest.json: .*{key}"):
        read(manifest)


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"[]", b"7", b'{"format": "other", "version": 1}', b'{"version": "1"}'])
def test_anything_that_is_no_manifest_is_unreadable(data: bytes) -> None:
    with pytest.raises(MetadataUnreadable, match="there"):
        Manifest.from_bytes(data, url="there")


def test_a_vocabulary_for_a_field_that_has_none_is_refused(tiny: Dataset) -> None:
    manifest = written(tiny)
    manifest["vocabularies"]["note"] = manifest["vocabularies"]["label"]
    with pytest.raises(MetadataUnreadable, match="vocabularies go with the fields"):
        read(manifest)


def test_a_label_that_is_no_field_is_refused(tiny: Dataset) -> None:
    with pytest.raises(MetadataUnreadable, match="label 'nope' is no field"):
        read({**written(tiny), "label": "nope"})


def test_a_cleaning_must_account_for_every_row() -> None:
    with pytest.raises(ValueError, match="10 ≠ 8"):
        Cleaning(found=10, kept=8, refused={"duplicate": 1})


def test_ids_of_a_vocabulary_begin_after_the_unknown_one() -> None:
    closed, opened = (Vocabulary(values=("a", "b"), counts=(1, 1), unknown=unknown) for unknown in (False, True))
    assert (closed.first_id, closed.size, opened.first_id, opened.size) == (0, 2, 1, 3)


@pytest.mark.parametrize(("values", "counts"), [(("a", "a"), (1, 1)), (("a",), (1, 2))])
def test_a_vocabulary_of_equal_values_or_missing_counts_is_refused(values: tuple[str, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="values"):
        Vocabulary(values=values, counts=counts, unknown=False)
