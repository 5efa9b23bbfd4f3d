"""Rows that `on_error="skip"` passes over: counted, named, and too many of them refused."""

import logging

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.shown import shown

__all__ = ["SkipCount"]

_log = logging.getLogger(__name__)


class SkipCount:
    """Skipped rows of one epoch on one rank.

    Args:
        url: of the dataset.
        rows: that this rank reads in the epoch.
        share: of them that may be skipped, 0 … 1.
    """

    def __init__(self, url: str, *, rows: float, share: float) -> None:
        self._url, self._rows, self._share = url, rows, share
        self.rows = 0

    def add(self, reasons: list[str]) -> None:
        """Count skipped rows, a text each that says which and why; what is said is logged once a text.

        Raises:
            DatasetInvalid: more rows than allowed, with the number, the limit and the last text.
        """
        for reason in dict.fromkeys(reasons):
            _log.warning("skipped: %s", shown(reason))
        self.rows += len(reasons)
        if self.rows > self._rows * self._share:
            raise DatasetInvalid(
                f"{self._url}: {self.rows} rows of this epoch's {self._rows:.0f} on this rank were skipped, more than "
                f"max_skipped={self._share:g} allows; the last: {reasons[-1]}"
            )
