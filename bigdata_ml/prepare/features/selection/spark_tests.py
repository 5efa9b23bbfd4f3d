"""Spark ML's univariate tests of features, and their importances in a forest."""

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
    """Test each feature against the label.

    ANOVA's F for numbers and classes, chi-square for categories and classes, a regression's F for a label that is a number.

    Args:
        matrix: `features` and `label`; read once.
        categorical: whether the features are categories.
        classes: whether the label is a class.
    """
    test = "chi-square" if categorical and classes else "anova" if classes else "f-value"
    name, statistic = _TESTS[test]
    spark = matrix.sparkSession
    # PySpark offers only the last of the three; all are public Scala objects of Spark ML with one signature.
    tester = getattr(spark.sparkContext._jvm.org.apache.spark.ml.stat, name)  # type: ignore[union-attr]
    results = DataFrame(tester.test(matrix._jdf, "features", "label", True), spark)
    rows = results.select("featureIndex", "pValue", statistic).orderBy("featureIndex").collect()
    return [TestResult(test, _finite(row[statistic]), _finite(row["pValue"], 1.0)) for row in rows]


def forest_importances(matrix: DataFrame, *, classes: bool, trees: int, depth: int, seed: int) -> list[float]:
    """Return each feature's importance in a random forest, 0 … 1; they sum to 1 if any tree splits."""
    # Imported here: it is slow and warns about pandas, and most jobs select no features.
    from pyspark.ml.classification import RandomForestClassifier
    from pyspark.ml.regression import RandomForestRegressor

    kind = RandomForestClassifier if classes else RandomForestRegressor
    forest = kind(numTrees=trees, maxDepth=depth, seed=seed, featuresCol="features", labelCol="label", subsamplingRate=0.8)
    return [float(share) for share in forest.fit(matrix).featureImportances.toArray()]


def _finite(value: float, otherwise: float = 0.0) -> float:
    return otherwise if math.isnan(value) else min(float(value), sys.float_info.max)
