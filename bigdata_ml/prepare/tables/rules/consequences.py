"""What happens to a value that breaks a rule."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["REFUSE_ROW", "WARN", "Otherwise", "Scalar", "Severity", "refuse_fill"]

Scalar = str | int | float | bool


class Severity(str, Enum):
    """What happens to a row that breaks a rule.

    REFUSE_ROW  the row goes to quarantine; the reason names the rule
    FILL        the value is replaced and counted
    WARN        the value stays and is counted
    REFUSE_JOB  nothing is published
    """

    REFUSE_ROW = "refuse_row"
    FILL = "fill"
    WARN = "warn"
    REFUSE_JOB = "refuse_job"


@dataclass(frozen=True, kw_only=True, slots=True)
class Otherwise:
    """What happens to a value that breaks a rule.

    Attributes:
        severity: the consequence.
        fill: the replacement for `Severity.FILL`; None means null.
    """

    severity: Severity = Severity.REFUSE_ROW
    fill: Scalar | None = None

    def __post_init__(self) -> None:
        if self.fill is not None and self.severity is not Severity.FILL:
            raise ValueError(f"a fill value needs `otherwise: fill`, got `otherwise: {self.severity.value}`")


REFUSE_ROW = Otherwise()
WARN = Otherwise(severity=Severity.WARN)


def refuse_fill(name: str, otherwise: Otherwise) -> None:
    """Raise ValueError if a rule that no single value can repair has the severity fill."""
    if otherwise.severity is Severity.FILL:
        raise ValueError(f"{name} cannot be filled; use refuse_row, warn or refuse_job")
