"""Numbers as people read them on a page."""

import math

__all__ = ["duration_text", "money_text", "number_text", "share_text"]


def number_text(value: object) -> str:
    """Return a table's cell: whole numbers with separators, others to four digits, None and NaN as a dash, text as it is.

    >>> number_text(1234567), number_text(0.123456), number_text(None)
    ('1,234,567', '0.1235', '–')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def share_text(share: float | None) -> str:
    """Return a share (0 … 1) in per cent.

    >>> share_text(0.0312)
    '3.1 %'
    """
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def duration_text(seconds: float) -> str:
    """Return a duration in the units one would say it in.

    >>> duration_text(7.25), duration_text(125), duration_text(7500)
    ('7.2 s', '2 min 5 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def money_text(amount: float, currency: str) -> str:
    """Return an amount of money, small ones to two significant digits.

    >>> money_text(12.3, "USD"), money_text(0.00123, "USD")
    ('12.30 USD', '0.0012 USD')
    """
    digits = 2 if amount == 0 or abs(amount) >= 1 else 1 - math.floor(math.log10(abs(amount)))
    return f"{amount:,.{digits}f} {currency}"
