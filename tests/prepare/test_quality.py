import json
from typing import Any

import pyarrow as pa
import pytest

from bigdata_ml.dataset import QUARANTINE_SCHEMA, Cleaning, Statistics, Vocabulary
from bigdata_ml.pages import Picture
from bigdata_ml.prepare.publish.quality import quality_page


def made(**changes: Any) -> tuple[str, dict[str, Any]]:
    given: dict[str, Any] = {
        "dataset_url": "/data/flights",
        "cleaning": Cleaning(found=12, kept=10, refused={"no_label": 2}, warned={"null": 3}, rules={"drop": ["tail"]}),
        "splits": {"train": 8, "test": 2},
        "label": "late",
        "vocabularies": {
            "late": Vocabulary(values=(False, True), counts=(6, 2), unknown=False),
            "carrier": Vocabulary(values=("AA", "<b>"), counts=(5, 3), unknown=True, rare=4),
        },
        "statistics": {"distance": Statistics(count=8, nulls=1, mean=(500.0,), std=(20.5,), least=90.0, greatest=1234.0)},
        "joins": [{"name": "planes", "keys": ["tail"], "rows": 12, "matched": 9, "unmatched": 3, "multiplied": 0}],
        "refused_samples": pa.Table.from_pylist(
            [{"source": "<script>.csv", "reason": "no_label", "detail": "late is null", "row": '{"late": null}'}],
            QUARANTINE_SCHEMA,
        ),
        "kept_samples": [Picture(b"png", "a cat")],
        "provenance": {"source": "/in", "versions": {"spark": "4"}},
    }
    page, numbers = quality_page(**{**given, **changes})
    return page.decode(), json.loads(numbers)


@pytest.mark.parametrize(
    "text",
    [
        "Data quality: flights",
        "refused: no_label",
        "late is null",
        "{&#34;late&#34;: null}",
        "a cat",
        "planes",
        "AA (5)",
        "rare values left out",
        "distance",
        "Rows by late",
        "drop",
    ],
)
def test_the_page_shows_what_the_cleaning_found(text: str) -> None:
    assert text in made()[0]


def test_the_numbers_are_those_of_the_cleaning() -> None:
    numbers = made()[1]
    assert (numbers["found"], numbers["kept"], numbers["refused"], numbers["splits"]) == (
        12, 10, {"no_label": 2}, {"train": 8, "test": 2},
    )  # fmt: skip
    assert numbers["vocabularies"]["carrier"] == {"size": 3, "rare": 4, "unknown": True, "frequent": [["AA", 5], ["<b>", 3]]}


def test_a_file_name_in_the_data_cannot_run() -> None:
    page = made()[0]
    assert "<script" not in page
    assert "<b>" not in page


def test_only_the_most_frequent_of_many_values_are_shown() -> None:
    many = Vocabulary(values=tuple(range(100)), counts=tuple(range(100)), unknown=True)
    page, numbers = made(vocabularies={"late": many})
    assert "30 of 100 classes" in page
    assert numbers["vocabularies"]["late"]["frequent"][0] == ["99", 99]


def test_a_dataset_of_nothing_but_rows_has_a_page() -> None:
    page, _ = made(
        splits={}, label=None, vocabularies={}, statistics={}, joins=[], kept_samples=[],
        refused_samples=QUARANTINE_SCHEMA.empty_table(), cleaning=Cleaning(found=0, kept=0, refused={}),
    )  # fmt: skip
    assert "<h2>Cleaning</h2>" in page
    assert "<h2>Joins</h2>" not in page
