"""Errors with Petastorm's names; those derived from our own errors can be caught by either name."""

from bigdata_ml.errors import DatasetInvalid, DecodeFailed

__all__ = ["DecodeFieldError", "NoDataAvailableError", "PetastormMetadataError", "PetastormMetadataGenerationError"]

DecodeFieldError = DecodeFailed


class NoDataAvailableError(ValueError):
    """No row is selected, or too few for every shard to have one."""


class PetastormMetadataError(DatasetInvalid):
    """The dataset has no Petastorm metadata, or they cannot be read."""


class PetastormMetadataGenerationError(DatasetInvalid):
    """Petastorm's metadata could not be written."""
