"""`decimal_friendly_collate`: a list of rows to one batch."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from torch.utils.data import default_collate

__all__ = ["decimal_friendly_collate"]


def decimal_friendly_collate(batch: Sequence[Any]) -> Any:
    """Collate as torch's `default_collate` does; text, bytes and `Decimal`s stay as they are."""
    first = batch[0]
    if isinstance(first, Mapping):
        return {name: decimal_friendly_collate([row[name] for row in batch]) for name in first}
    if isinstance(first, (Decimal, str, bytes)):
        return batch
    if isinstance(first, (list, tuple)):
        return [decimal_friendly_collate(values) for values in zip(*batch, strict=True)]
    return default_collate(list(batch))
