"""Errors with Petastorm's names; those that have one of ours as base are caught by either."""

from bigdata_ml.errors import DatasetInvalid, DecodeFailed

__all__ = ["DecodeFieldError", "NoDataAvailableError", "PetastormMetadataError", "PetastormMetadataGenerationError"]

DecodeFieldError = DecodeFailed


class NoDataAvailableError(ValueError):
    """No row is selected, or too few for every shard to have one."""


class PetastormMetadataError(DatasetInvalid):
    """The dataset has none of Petastorm's metadata, or it cannot be read."""


class PetastormMetadataGenerationError(DatasetInvalid):
    """Petastorm's metadata could not be written."""
