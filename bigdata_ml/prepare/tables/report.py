"""Reports the cleaning of a table: the contract, the refused rows and the quality page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.dataset import QUARANTINE_SCHEMA, Cleaning, Contract, Vocabulary
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.prepare.features.page import feature_section, leak_section
from bigdata_ml.prepare.publish.before_after import change_numbers, change_section, table_changes
from bigdata_ml.prepare.publish.drift import as_numbers, drift_section, find_shifts, history_with, manifest_before
from bigdata_ml.prepare.publish.quality import quality_page
from bigdata_ml.prepare.publish.sink import Written, quarantine_batch
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.split.by_hash import SplitRule
from bigdata_ml.prepare.tables.columns import LearnedColumns
from bigdata_ml.prepare.tables.joins import JoinReport
from bigdata_ml.prepare.tables.rules.rulebook import MALFORMED_ROWS, RuleTally
from bigdata_ml.prepare.tables.steps import DropRule
from bigdata_ml.prepare.tables.type_report import types_section
from bigdata_ml.storage import locate

__all__ = ["CleanedTable", "refused_table_rows", "table_contract", "table_quality"]

_SAMPLES = 24
# Rules that are listed only if they refused rows.
_LISTED_IF_BROKEN = {"not_utf8": "text is UTF-8", "no_split": "the path of the row's file names a split"}


@dataclass(frozen=True, slots=True)
class CleanedTable:
    """A table's rows with their verdicts, and a record of the cleaning.

    Attributes:
        rows: all rows; `__reason` is null for kept rows.
        label: the column to predict.
        split: how rows are split.
        drops: rules that drop columns.
        joins: the counts of each join.
        tally: rows by rule.
        words: descriptions of the rules by name.
        types: types of the columns of text files, by source.
    """

    rows: DataFrame
    label: str
    split: SplitRule
    drops: Sequence[DropRule]
    joins: Sequence[JoinReport]
    tally: RuleTally
    words: Mapping[str, str]
    types: Mapping[str, Sequence[ColumnType]]

    @property
    def kept(self) -> DataFrame:
        """Rows that no rule refused."""
        return self.rows.where(F.col("__reason").isNull())


def table_contract(
    cleaned: CleanedTable,
    learned: LearnedColumns,
    vocabularies: dict[str, Vocabulary],
    quantiles: Mapping[str, Mapping[str, float]],
    written: Written,
    provenance: Mapping[str, Any],
) -> Contract:
    """Return the dataset's contract: everything the manifest records besides the files.

    Args:
        cleaned: the rows.
        learned: their columns.
        vocabularies, quantiles: ids and quantiles by column.
        written: what the sink wrote.
        provenance: the origin of the rows, and the job's arguments and versions.
    """
    schema, tally = learned.schema, cleaned.tally
    statistics = {name: moments.to_statistics() for name, moments in written.moments.items() if not schema[name].vocabulary}
    return Contract(
        schema=schema,
        label=cleaned.label,
        vocabularies=vocabularies,
        statistics={name: replace(known, quantiles=quantiles.get(name, {})) for name, known in statistics.items() if known},
        split_rule=cleaned.split.to_json(),
        cleaning=Cleaning(
            found=tally.found,
            kept=tally.kept,
            refused={"label_missing": 0, **tally.refused},
            warned={**tally.noted, **({"columns that tell the label": len(learned.leaks)} if learned.leaks else {})},
            rules={
                "label_missing": f"{cleaned.label} is null",
                **{name: words for name, words in _LISTED_IF_BROKEN.items() if name in tally.refused},
                "not a number": "NaN is read as null",
                **{reason: words for reason, words in MALFORMED_ROWS.items() if reason in tally.refused},
                **{f"drop {rule.name}": ", ".join(rule.columns) for rule in cleaned.drops},
                **cleaned.words,
                **learned.words,
            },
        ),
        provenance=provenance,
    )


def refused_table_rows(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return refused rows in the columns of the quarantine."""
    return quarantine_batch(
        source=batch.column("__source"),
        reason=batch.column("__reason"),
        detail=batch.column("__detail"),
        row=batch.column("__row"),
        thumbnail=pa.nulls(batch.num_rows, pa.binary()),
    )


def table_quality(
    dataset_url: str, contract: Contract, cleaned: CleanedTable, learned: LearnedColumns, written: Written
) -> dict[str, bytes]:
    """Return the quality page, its numbers and the history, by path; runs Spark jobs."""
    refused = cleaned.rows.where(F.col("__reason").isNotNull()).limit(_SAMPLES).toArrow()
    samples = [refused_table_rows(batch) for batch in refused.to_batches()]
    destination = locate(dataset_url)
    before = manifest_before(destination)
    shifts = find_shifts(before, contract) if before else []
    changes = table_changes(cleaned.rows, found=cleaned.tally.found)
    html, numbers = quality_page(
        dataset_url=dataset_url,
        cleaning=contract.cleaning,
        splits=written.rows_by_split(),
        label=contract.label,
        vocabularies=contract.vocabularies,
        statistics=contract.statistics,
        joins=[asdict(report) for report in cleaned.joins],
        refused_samples=pa.Table.from_batches(samples, QUARANTINE_SCHEMA),
        kept_samples=[],
        provenance=contract.provenance,
        more_sections=[
            *([types_section(cleaned.types)] if cleaned.types else []),
            change_section(changes),
            *([leak_section(learned.leaks)] if learned.leaks else []),
            *([feature_section(learned.features)] if learned.features else []),
            *([drift_section(before, shifts)] if before else []),
        ],
        more_numbers={
            "types": {url: [column.to_json() for column in columns] for url, columns in cleaned.types.items()},
            "changes": change_numbers(changes),
            **({"features": learned.features.to_json()} if learned.features else {}),
            **({"drift": as_numbers(shifts)} if before else {}),
        },
    )
    return {QUALITY: html, QUALITY_NUMBERS: numbers, **history_with(destination, contract, written.rows_by_split())}
