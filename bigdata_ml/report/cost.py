"""What a run cost: device-hours × price of a device-hour."""

from dataclasses import dataclass

from bigdata_ml.pages import money_text

__all__ = ["Cost", "cost_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Device-hours at a price.

    Attributes:
        device_hours: hours × devices, 0 or more.
        price_per_device_hour: in `currency`, 0 or more.
        currency: ISO 4217.
    """

    device_hours: float
    price_per_device_hour: float
    currency: str

    def __post_init__(self) -> None:
        if self.device_hours < 0 or self.price_per_device_hour < 0:
            raise ValueError(f"hours and price must be 0 or more, got {self.device_hours} and {self.price_per_device_hour}")

    @property
    def amount(self) -> float:
        """The product, in `currency`."""
        return self.device_hours * self.price_per_device_hour

    @property
    def formula(self) -> str:
        """The product as it is reckoned, for people.

        >>> cost_of(7200, world_size=2, price_per_device_hour=0.5, currency="USD").formula
        '4 device-hours × 0.50 USD = 2.00 USD'
        """
        price = money_text(self.price_per_device_hour, self.currency)
        return f"{self.device_hours:.4g} device-hours × {price} = {money_text(self.amount, self.currency)}"


def cost_of(seconds: float, *, world_size: int, price_per_device_hour: float, currency: str) -> Cost:
    """Return the cost of `seconds` on `world_size` devices."""
    return Cost(device_hours=seconds / 3600 * world_size, price_per_device_hour=price_per_device_hour, currency=currency)
