"""The gate: a job that refuses more rows than it may, or notices more, ends before anything is published."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bigdata_ml.errors import JobRefused

__all__ = ["Limit", "check_limits", "check_reasons"]

_FORM = re.compile(r"(?:(?P<reason>[^=]+)=)?(?P<number>\d+(?:\.\d+)?)(?P<percent>%?)")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many rows may be refused, or noticed.

    Attributes:
        reason: for which reason, or by which rule that fills or warns; None is for all that is refused together.
        most: so many rows at most; with `is_share` so large a part of the rows found, 0 … 1.
        is_share: whether `most` is a part.
    """

    reason: str | None
    most: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Return the limit that `[REASON=]NUMBER[%]` says.

        Raises:
            ValueError: another form, or more than 100 %.

        >>> Limit.parse("duplicate=2.5%")
        Limit(reason='duplicate', most=0.025, is_share=True)
        """
        match = _FORM.fullmatch(text.strip())
        if match is None or (not match["percent"] and "." in match["number"]):
            raise ValueError(f"max_refused is [REASON=]NUMBER[%], such as 1%, 200 or duplicate=5%, got {text!r}")
        number = float(match["number"])
        if match["percent"] and number > 100:
            raise ValueError(f"max_refused must be 100 % or less, got {text!r}")
        return cls(match["reason"], number / 100 if match["percent"] else number, bool(match["percent"]))

    def excess(self, refused: Mapping[str, int], noticed: Mapping[str, int], found: int) -> str | None:
        """Return what is to be said where more than that are refused, or noticed, of the rows found, else None."""
        count, clause = sum(refused.values()), "rows were refused"
        if self.reason is not None:
            count, more = refused.get(self.reason, 0), noticed.get(self.reason, 0)
            count, clause = count + more, f"rows were {'noticed' if more else 'refused'} as {self.reason}"
        if count <= (self.most * found if self.is_share else self.most):
            return None
        allowed = f"{self.most:.4%}".rstrip("0%").rstrip(".") + " %" if self.is_share else f"{self.most:.0f}"
        return f"{count} of {found} {clause} ({count / found:.2%}), and {allowed} may be"


def check_reasons(limits: Sequence[Limit], reasons: Collection[str]) -> None:
    """Raise ValueError for a limit on a reason that is none of `reasons`."""
    unknown = [limit.reason for limit in limits if limit.reason is not None and limit.reason not in reasons]
    if unknown:
        raise ValueError(f"max_refused: this job counts nothing as {unknown[0]!r}; its reasons are {', '.join(sorted(reasons))}")


def check_limits(
    source: str, limits: Sequence[Limit], refused: Mapping[str, int], noticed: Mapping[str, int], *, found: int
) -> None:
    """Raise unless every limit is kept.

    Args:
        source: for messages.
        limits: which may be exceeded by none.
        refused: rows by reason.
        noticed: rows that are kept, by what was filled or warned of.
        found: rows found, refused and kept.

    Raises:
        JobRefused: naming each limit that was exceeded, with the counts.
    """
    exceeded = [text for text in (limit.excess(refused, noticed, found) for limit in limits) if text is not None]
    if exceeded:
        raise JobRefused(
            f"{source}: nothing was published: {'; '.join(exceeded)}; look at what is refused, mend the source or the rules, or "
            "raise --max-refused"
        )
