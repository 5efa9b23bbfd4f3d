"""The errors this package raises when the world, not the caller's argument, is wrong.

    BigDataMLError
    ├── DatasetNotFound         nothing at that URL, or no Parquet files under it
    ├── DatasetInvalid          there is a dataset, and it breaks its contract
    │   ├── SchemaMismatch      fields that are missing, of another type, or null where that is not allowed
    │   ├── MetadataUnreadable  a manifest or row-group table that cannot be read, or of a newer version
    │   └── ChecksumMismatch    bytes that are not those that were published
    ├── DecodeFailed            one value of one row that cannot be decoded
    ├── WorldSizeNotAllowed     a number of ranks the order cannot be divided by
    ├── ResumeMismatch          a state taken from another dataset, plan or version
    ├── StorageUnavailable      a filesystem that cannot be reached or goes on failing, or whose client is not installed
    ├── EngineUnavailable       a reading engine that is not installed
    ├── JobRefused              a preparation job that stopped before publishing anything
    └── TrainingFailed          a training whose numbers are none any more

Wrong arguments are `ValueError` and `TypeError`. Catch `BigDataMLError` to catch all of the above.
"""

__all__ = [
    "BigDataMLError",
    "ChecksumMismatch",
    "DatasetInvalid",
    "DatasetNotFound",
    "DecodeFailed",
    "EngineUnavailable",
    "JobRefused",
    "MetadataUnreadable",
    "ResumeMismatch",
    "SchemaMismatch",
    "StorageUnavailable",
    "TrainingFailed",
    "WorldSizeNotAllowed",
]


class BigDataMLError(Exception):
    """Base of every error of this package."""


class DatasetNotFound(BigDataMLError):
    """Nothing is at that URL, or nothing that is a dataset."""


class DatasetInvalid(BigDataMLError):
    """The dataset breaks its contract."""


class SchemaMismatch(DatasetInvalid):
    """A field is missing, has another type than the schema says, or is null where that is not allowed."""


class MetadataUnreadable(DatasetInvalid):
    """The manifest or the row-group table cannot be read, or is of a newer version."""


class ChecksumMismatch(DatasetInvalid):
    """Bytes in a file differ from those that were published."""


class DecodeFailed(BigDataMLError):
    """A value cannot be decoded; the text names file, row group, row and field."""


class WorldSizeNotAllowed(BigDataMLError):
    """The order of rows cannot be divided among that many ranks."""


class ResumeMismatch(BigDataMLError):
    """The state was taken from another dataset, plan or version."""


class StorageUnavailable(BigDataMLError):
    """The filesystem cannot be reached or goes on failing, or its client is not installed."""


class EngineUnavailable(BigDataMLError):
    """The reading engine is not installed."""


class JobRefused(BigDataMLError):
    """The job stopped before publishing; nothing at the destination was changed."""


class TrainingFailed(BigDataMLError):
    """The loss or the weights of a training are no numbers any more; its last checkpoint is whole."""
