"""What Spark ML says of features: univariate tests, and the importances of a forest."""

import math
import sys
from dataclasses import dataclass

from pyspark.sql import DataFrame

__all__ = ["TestResult", "forest_importances", "univariate_tests"]

_TESTS = {"anova": ("ANOVATest", "fValue"), "f-value": ("FValueTest", "fValue"), "chi-square": ("ChiSquareTest", "statistic")}


@dataclass(frozen=True, slots=True)
class TestResult:
    """The outcome of one univariate test: `anova`, `chi-square` or `f-value`; the statistic; the p-value, 0 … 1."""

    test: str
    statistic: float
    p: float


def univariate_tests(matrix: DataFrame, *, categorical: bool, classes: bool) -> list[TestResult]:
    """Return each feature's test against the label.

    Numbers against classes: ANOVA's F; categories against classes: chi-square; against a number: the F of a regression.

    Args:
        matrix: `features` and `label`; it is read once.
        categorical: whether the features are categories.
        classes: whether the label is one.
    """
    test = "chi-square" if categorical and classes else "anova" if classes else "f-value"
    name, statistic = _TESTS[test]
    spark = matrix.sparkSession
    # PySpark hands out the last of the three only; all are Spark ML's public Scala objects, with one signature.
    tester = getattr(spark.sparkContext._jvm.org.apache.spark.ml.stat, name)  # type: ignore[union-attr]
    found = DataFrame(tester.test(matrix._jdf, "features", "label", True), spark)
    rows = found.select("featureIndex", "pValue", statistic).orderBy("featureIndex").collect()
    return [TestResult(test, _finite(row[statistic]), _finite(row["pValue"], 1.0)) for row in rows]


def forest_importances(matrix: DataFrame, *, classes: bool, trees: int, depth: int, seed: int) -> list[float]:
    """Return each feature's importance in a random forest, 0 … 1, summing to 1 if a tree splits at all."""
    # Imported here, since it warns of pandas and takes its time, and most jobs select no features.
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.regression import RandomForestRegressor

    kind = RandomForestClassifier if classes else RandomForestRegressor
    forest = kind(numTrees=trees, maxDepth=depth, seed=seed, featuresCol="features", labelCol="label", subsamplingRate=0.8)
    return [float(one) for one in forest.fit(matrix).featureImportances.toArray()]


def _finite(value: float, otherwise: float = 0.0) -> float:
    return otherwise if math.isnan(value) else min(float(value), sys.float_info.max)
