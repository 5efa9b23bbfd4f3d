"""The sink: each task attempt writes files of its own name with pyarrow and returns what it wrote.

The driver publishes only what successful attempts returned, so the counts are right under retries and speculation.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext
from pyspark.sql import DataFrame

from bigdata_ml.dataset import QUARANTINE_SCHEMA, PartFile, PartWriter, QuarantineWriter, Staging, WriteOptions
from bigdata_ml.prepare.features.statistics import Moments, is_numeric, merged
from bigdata_ml.prepare.session.batches import cut_by_bytes
from bigdata_ml.schema import Codec, Schema
from bigdata_ml.storage import Location, locate

__all__ = ["Sink", "Written", "partitions_for"]

_REPORT = "report string"
_FILE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """What the successful tasks wrote: data files, quarantine files, the train split's moments by column, and their samples."""

    files: tuple[PartFile, ...]
    quarantine: tuple[str, ...]
    moments: Mapping[str, Moments]
    samples: Mapping[str, bytes]

    def rows_by_split(self) -> dict[str, int]:
        """Return the rows written by split."""
        rows: dict[str, int] = {}
        for file in self.files:
            rows[str(file.split)] = rows.get(str(file.split), 0) + file.rows
        return rows


@dataclass(frozen=True, slots=True)
class _TaskReport:
    """What one task attempt wrote."""

    files: list[PartFile] = field(default_factory=list)
    quarantine: list[str] = field(default_factory=list)
    moments: dict[str, Moments] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> "_TaskReport":
        return cls(
            files=[PartFile(**{**file, "records": tuple(file["records"])}) for file in written["files"]],
            quarantine=written["quarantine"],
            moments={name: Moments(**item) for name, item in written["moments"].items()},
            samples=written["samples"],
        )


def _no_samples(_: pa.RecordBatch) -> Mapping[str, bytes]:
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sink:
    """How rows become files.

    Attributes:
        schema: the dataset's fields.
        options: sizes and compression.
        encode: makes, on the executors, a batch with the schema's columns of a batch of the DataFrame's.
        refuse: makes a batch with the quarantine's columns of one.
        reason: column that is null for rows to keep.
        sample: makes of a batch what is to be seen of some of its rows, by their names: a few hundred of some KB in all.
    """

    schema: Schema
    options: WriteOptions
    encode: Callable[[pa.RecordBatch], pa.RecordBatch]
    refuse: Callable[[pa.RecordBatch], pa.RecordBatch]
    reason: str
    sample: Callable[[pa.RecordBatch], Mapping[str, bytes]] = _no_samples

    def write(self, rows: DataFrame, staging: Staging) -> Written:
        """Write the rows, which have a column `split`, each partition in the order it has.

        The number of files follows from the DataFrame's partitioning: partition first, by a hash of the data.
        """
        task = _Task(self, staging.root.url, staging.suffix, tuple(rows.columns))
        # Columns go to Python by number: mapInArrow itself cannot pass on one with a dot in its name.
        collected = rows.toDF(*map(str, range(len(rows.columns)))).mapInArrow(task, _REPORT).collect()
        reports = [_TaskReport.from_json(json.loads(row["report"])) for row in collected]
        reports = sorted(reports, key=lambda report: [file.path for file in report.files] + report.quarantine)
        names = dict.fromkeys(name for report in reports for name in report.moments)
        return Written(
            files=tuple(file for report in reports for file in report.files),
            quarantine=tuple(path for report in reports for path in report.quarantine),
            moments={name: merged([item.moments[name] for item in reports if name in item.moments]) for name in names},
            samples={name: base64.b64decode(item) for report in reports for name, item in report.samples.items()},
        )


def partitions_for(source_bytes: int, *, file_bytes: int = _FILE_BYTES, at_least: int = 4) -> int:
    """Return how many partitions to write: from the data's size alone, so that every cluster writes the same files."""
    return max(at_least, -(-source_bytes // file_bytes))


@dataclass(frozen=True, slots=True)
class _Task:
    """The function that runs on the executors: one partition in, one report out."""

    sink: Sink
    url: str
    suffix: str
    columns: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        report = _TaskReport()
        root = locate(self.url)
        context = TaskContext.get()
        name = f"part-{context.partitionId():05d}-{context.taskAttemptId()}" if context else "part-00000-0"
        pieces = (piece.rename_columns(self.columns) for batch in batches for piece in cut_by_bytes(batch))
        self._write(pieces, root, f"{name}{self.suffix}", report)
        yield pa.RecordBatch.from_pydict({"report": [json.dumps(asdict(report))]})

    def _write(self, batches: Iterator[pa.RecordBatch], root: Location, name: str, report: _TaskReport) -> None:
        writers: dict[str, PartWriter] = {}
        quarantine: QuarantineWriter | None = None
        with ExitStack() as undo:
            for batch in batches:
                kept = pc.is_null(batch.column(self.sink.reason))
                for split, rows in _by_split(batch, kept):
                    if split not in writers:
                        writer = PartWriter(
                            root, split=split, name=f"{name}.parquet", schema=self.sink.schema, options=self.sink.options
                        )
                        writers[split] = undo.enter_context(writer)
                    encoded = self.sink.encode(rows)
                    writers[split].write(encoded)
                    if split == "train":
                        self._measure(encoded, report)
                refused = batch.filter(pc.invert(kept))
                if refused.num_rows:
                    if quarantine is None:
                        quarantine = undo.enter_context(QuarantineWriter(root, f"{name}.arrow"))
                    quarantine.write(self.sink.refuse(refused))
                report.samples.update(
                    (name, base64.b64encode(sample).decode()) for name, sample in self.sink.sample(batch).items()
                )
            report.files.extend(writers[split].close() for split in sorted(writers))
            if quarantine is not None:
                quarantine.close()
                report.quarantine.append(quarantine.path)

    def _measure(self, batch: pa.RecordBatch, report: _TaskReport) -> None:
        for one in self.sink.schema:
            if one.codec is Codec.SCALAR and is_numeric(one.type):
                before = report.moments.get(one.name, Moments())
                report.moments[one.name] = before.merge(Moments.of(batch.column(one.name)))


def _by_split(batch: pa.RecordBatch, kept: pa.BooleanArray) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the kept rows of each split; a batch that is all of one is not copied."""
    column = batch.column("split")
    for split in sorted(pc.unique(column.filter(kept)).to_pylist()):
        in_split = pc.and_(kept, pc.equal(column, split))
        yield split, batch if in_split.true_count == batch.num_rows else batch.filter(in_split)


def quarantine_batch(
    *, source: pa.Array, reason: pa.Array, detail: pa.Array, row: pa.Array, thumbnail: pa.Array
) -> pa.RecordBatch:
    """Return refused rows with the quarantine's columns."""
    columns = {"source": source, "reason": reason, "detail": detail, "row": row, "thumbnail": thumbnail}
    arrays = [columns[one.name].cast(one.type) for one in QUARANTINE_SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=QUARANTINE_SCHEMA)
