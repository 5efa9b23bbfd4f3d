from collections.abc import Callable, Iterable

import pytest

from bigdata_ml.report import Meter, cost_of, peak_rss_mb


def clock(times: Iterable[float]) -> Callable[[], float]:
    return iter(times).__next__


def test_a_meter_tells_waiting_from_working() -> None:
    meter = Meter(clock=clock([10, 10, 11, 14, 14, 15, 18]))
    for rows in (20, 12):
        with meter.waiting():
            pass
        meter.step(rows)
    assert (meter.rows, meter.steps, meter.seconds, meter.wait_seconds) == (32, 2, 8, 2)
    assert (meter.rows_per_second, meter.stall) == (4, 0.25)


def test_the_end_of_the_data_passes_through_the_meter() -> None:
    meter = Meter()
    with pytest.raises(StopIteration), meter.waiting():
        next(iter(()))


def test_a_meter_that_saw_nothing_gives_zeros() -> None:
    meter = Meter(clock=lambda: 1.0)
    assert (meter.rows_per_second, meter.stall) == (0.0, 0.0)


def test_peak_memory_is_in_mebibytes() -> None:
    assert 10 < peak_rss_mb() < 1 << 20


def test_cost_is_device_hours_times_price() -> None:
    cost = cost_of(1800, world_size=4, price_per_device_hour=3.0, currency="EUR")
    assert (cost.device_hours, cost.amount) == (2.0, 6.0)
    assert cost.formula == "2 device-hours × 3.00 EUR = 6.00 EUR"


def test_a_negative_price_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        cost_of(1, world_size=1, price_per_device_hour=-1, currency="EUR")
