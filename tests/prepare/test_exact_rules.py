"""Rules and pages over whole numbers beyond 2^53 and decimals: exact."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, LongType

from bigdata_ml.errors import JobRefused
from bigdata_ml.pages import render_page
from bigdata_ml.prepare.features.statistics import Moments
from bigdata_ml.prepare.publish.before_after import change_section, compare_columns
from bigdata_ml.prepare.tables.rules.model import ColumnRules, RangeRule, SetRule, TableRules, TypeRule
from bigdata_ml.prepare.tables.rules.row_rules import apply_row_rules
from bigdata_ml.prepare.tables.rules.rulebook import Rulebook, with_violations
from bigdata_ml.prepare.tables.rules.value_types import typed

BIG = 2**53


@pytest.mark.parametrize("value", [BIG, BIG + 1, 2**63 - 1, 10**17, -(2**63), 1_700_000_000_000_000_000])
def test_a_column_of_large_numbers_that_hardly_differ_is_drawn(value: int) -> None:
    for column in ([value] * 20, [value, value, value - 5 if value > 0 else value + 5], [Decimal(value)] * 3):
        changes = compare_columns({"a": column}, {"a": column})
        assert bool((np.diff(changes[0].marks) > 0).all())
        assert sum(changes[0].after) == len(column)
        assert b"<svg" in render_page(title="", subtitle="", cards=[], sections=[change_section(changes)], footer="")


def test_extremes_of_whole_numbers_are_exact_and_decimals_the_nearest_doubles() -> None:
    whole = Moments.of(pa.array([BIG + 1, None, 5])).merge(Moments.of(pa.array([2**63 - 1]))).to_statistics()
    assert whole is not None
    assert (whole.least, whole.greatest, whole.to_json()["max"]) == (5, 2**63 - 1, 2**63 - 1)
    money = Moments.of(pa.array([Decimal("0.3333"), Decimal("-0.0001")], pa.decimal128(14, 4))).to_statistics()
    assert money is not None
    assert (money.least, money.greatest) == (-0.0001, 0.3333)


@pytest.mark.spark
def test_ranges_over_whole_numbers_and_decimals_are_exact(spark: SparkSession) -> None:
    def broken(kind: DataType, values: list[Any], **bounds: Any) -> list[Any]:
        rules = TableRules(columns=(ColumnRules(name="a", range=RangeRule(**bounds)),))
        rows = spark.createDataFrame([(value,) for value in values], "a string").select(F.col("a").cast(kind).alias("a"))
        rows = rows.withColumns(dict.fromkeys(("__reason", "__detail"), F.lit(None).cast("string")))
        noted = apply_row_rules(rows.transform(with_violations), rules.columns, Rulebook.of(rules))
        return [str(row["a"]) for row in noted.where("size(__violations) > 0").collect()]

    whole = [str(number) for number in (BIG - 1, BIG, BIG + 1, 2**63 - 1)]
    assert broken(LongType(), [*whole, None], greatest=BIG) == whole[2:]
    assert broken(LongType(), whole, least=BIG + 1) == whole[:2]
    assert broken(LongType(), ["1", "2"], least=1.5, greatest=10**30) == ["1"]
    assert broken(LongType(), ["1"], greatest=-(10**30)) == ["1"]
    money = ["0.1000", "0.1001", "99999999999999.9999"]
    assert broken(DecimalType(18, 4), money, greatest="0.10005") == money[1:]
    assert broken(DecimalType(18, 4), money, greatest=99999999999999, least=0.1) == money[2:]
    rules = TableRules(columns=(ColumnRules(name="a", set=SetRule(values=("1.234",))),))
    rows = spark.range(1).selectExpr("cast(1 as decimal(5,2)) as a", "cast(null as string) __reason", "'' __detail")
    with pytest.raises(JobRefused, match=r"a.set: '1.234' .*decimal\(5,2\)"):
        apply_row_rules(rows.transform(with_violations), rules.columns, Rulebook.of(rules))


@pytest.mark.spark
def test_types_given_by_rules_lose_no_digit_in_silence(spark: SparkSession) -> None:
    texts = ["9007199254740993.0", "9.007199254740993E15", "9007199254740993", "9007199254740992", "0.1", "1e300", "x"]
    rows = spark.createDataFrame([(text,) for text in texts], "a string")
    whole, number = (
        typed(F.col("a"), rows.schema["a"].dataType, TypeRule(kind=kind), name="a") for kind in ("integer", "number")
    )
    results = rows.select(whole.value, whole.wrong, number.value, number.wrong).collect()
    assert [row[0] for row in results] == [BIG + 1, BIG + 1, BIG + 1, BIG, None, None, None]
    assert [row[3] for row in results] == [False, False, True, False, False, False, True]
    assert [row[2] for row in results][2:6] == [None, float(BIG), 0.1, 1e300]
