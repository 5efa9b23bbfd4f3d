"""The steps of the image job, in their order: bring equal files together, judge, divide, bring the verdicts back to the bytes."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from bigdata_ml.prepare.images.duplicates.exact import ConflictPolicy, judge_label_conflicts, refuse_duplicates
from bigdata_ml.prepare.images.duplicates.near_groups import NearPolicy, judge_near_duplicates, with_near_groups
from bigdata_ml.prepare.images.inspect import refuse_unlabelled
from bigdata_ml.prepare.split.by_group import Bounds, assign_grouped_split, class_bounds
from bigdata_ml.prepare.split.by_hash import SplitRule
from bigdata_ml.prepare.split.from_paths import SplitFrom, refuse_no_split

__all__ = [
    "Judgement",
    "bring_together",
    "divide",
    "judge_bytes",
    "judge_looks",
    "sum_up",
    "with_group",
    "with_stored",
    "with_verdicts",
]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found: rows by reason (None: kept), whether several have one path and content, and of the kept: rows by warning,
    whether they have several classes, the least and the greatest size (height, width), channels.
    """

    tally: dict[str | None, int]
    warned: dict[str, int]
    several_classes: bool
    least: tuple[int, int]
    most: tuple[int, int]
    channels: int
    repeated: bool

    @property
    def kept(self) -> int:
        """Rows to publish."""
        return self.tally.get(None, 0)

    @property
    def one_size(self) -> bool:
        """Whether all kept images have the same size."""
        return self.least == self.most


def bring_together(inspected: DataFrame, *, seed: int, partitions: int) -> DataFrame:
    """Return the files (`INSPECTED`), equal ones in one of so many partitions.

    `__place` is a hash by which the sink orders rows, so that files hold them mixed.
    """
    return inspected.withColumn("__place", F.xxhash64(F.lit(seed), "sha256")).repartition(partitions, "sha256")


def with_stored(together: DataFrame, stored: DataFrame, *, partitions: int) -> DataFrame:
    """Return the files, those without content with what is `stored` of their `sha256`; they stay in their partitions."""
    once = stored.repartition(partitions, "sha256").groupBy("sha256").agg(F.first("stored").alias("stored"))
    joined = together.join(once, on="sha256", how="left")
    return joined.withColumn("content", F.coalesce("content", "stored")).drop("stored")


def judge_bytes(together: DataFrame, *, labels: bool, conflicts: ConflictPolicy, split_from: str = "") -> DataFrame:
    """Return everything about the files but their bytes, judged as far as equal bytes tell.

    Without `labels` none is missing and none contradicts another. `inspected` keeps reason, detail and warnings as they were;
    `voting` says that a file is not refused by itself, whatever others make of it; `number` counts files of one path and content;
    `missing` says that the bytes are not to be had.
    """
    facts = together.withColumn("missing", F.col("content").isNull()).drop("content", "thumbnail")
    facts = facts.withColumn("inspected", F.struct("reason", "detail", "warnings"))
    facts = facts.withColumn("number", _number())
    facts = facts.transform(refuse_unlabelled) if labels else facts
    if split_from:
        facts = facts.withColumn("given", SplitFrom(split_from).of(F.col("path")))
        facts = refuse_no_split(facts, F.col("given"), path="path")
    facts = facts.withColumn("voting", F.col("reason").isNull())
    if labels:
        facts = facts.transform(judge_label_conflicts, key="sha256", label="label", order="path", policy=conflicts)
    among = ("label",) if labels and conflicts == "warn" else ()
    # By their number, so that it is the same one however often facts are made anew: an executor may be lost with them.
    return facts.transform(refuse_duplicates, key="sha256", order="path", then="number", among=among)


def judge_looks(
    facts: DataFrame, *, policy: NearPolicy, distance: int, conflicts: ConflictPolicy, count: int
) -> tuple[DataFrame, int]:
    """Return the facts, about `count`, judged by looks, with `linked` and `near`, and how many crowds were not compared in full.

    Runs Spark jobs.
    """
    if policy == "ignore":
        return facts.withColumns(dict.fromkeys(("linked", "near"), F.lit(None).cast("long"))), 0
    grouped, crowds = with_near_groups(facts, distance=distance, count=count)
    return judge_near_duplicates(grouped, policy=policy, conflicts=conflicts), crowds


def with_group(facts: DataFrame, split_key: str) -> DataFrame:
    """Add `group`, the key that is never separated: the folder, or what `path:REGEX` finds; not for `content`.

    A path that does not match is a group of its own, and warned of as `no_group`.
    """
    if split_key == "content":
        return facts
    if split_key == "folder":
        return facts.withColumn("group", F.regexp_extract("path", "^(?:(.*)/)?", 1))
    found = F.regexp_extract("path", split_key.removeprefix("path:"), 1)
    group = F.when(found == "", F.concat(F.lit("sha256:"), "sha256")).otherwise(found)
    return facts.withColumns({"group": group, "warnings": F.concat("warnings", _noticed(found == "", "no_group"))})


def divide(
    judged: DataFrame, rule: SplitRule, *, stratify: bool, known: Bounds | None
) -> tuple[DataFrame, dict[str, tuple[int, ...]] | None]:
    """Return all rows, the kept ones with their `split`, and the classes' bounds where they are stratified; runs Spark jobs.

    Rows that their group moved are warned of as `moved_with_group`. Files that are refused because of others (duplicates,
    contradicting labels) decide with those they belong to, since without the others they were kept: so a file that is added
    takes no vote away, and nothing goes back to train.
    """
    kept = F.col("reason").isNull()
    bounds = class_bounds(judged.where(kept), rule, label="label", known=known) if stratify or known is not None else None
    own_groups = rule.key != ("sha256",)
    split = assign_grouped_split(
        judged,
        rule,
        linked_by="linked",
        own_groups=own_groups,
        voting="voting",
        label="label",
        bounds=bounds,
        given="given" if rule.given else None,
    )
    warnings = F.concat("warnings", _noticed(kept & F.col("moved"), "moved_with_group"))
    return split.withColumns({"split": F.when(kept, F.col("split")), "warnings": warnings}).drop("moved"), bounds


def with_verdicts(together: DataFrame, divided: DataFrame, *, partitions: int, repeated: bool) -> DataFrame:
    """Return the files, bytes and all, with what was decided about them; they stay in their partitions.

    `repeated` says that several have one path and content, as members of an archive may: any of them gets any of their verdicts.
    """
    keys = ["sha256", "path"]
    if repeated:
        keys.append("number")
        together = together.withColumn("number", _number())
    # By the column that they are partitioned by, so that no image is sent anywhere, and by a hash table of the verdicts, so that
    # none is sorted.
    decided = divided.select(*keys, "split", "reason", "detail").repartition(partitions, "sha256")
    return together.drop("reason", "detail").join(decided.hint("shuffle_hash"), on=keys, how="left")


def _number() -> Column:
    """Count the files of one path and content, from 1."""
    return F.row_number().over(Window.partitionBy("sha256", "path").orderBy("path"))


def sum_up(divided: DataFrame) -> Judgement:
    """Return the counts, `not_compared` among the warnings being those kept without a perceptual hash; runs Spark jobs."""
    size = F.struct("height", "width")
    totals = divided.groupBy("reason").agg(
        F.count(F.lit(1)).alias("rows"),
        # Not counted: Spark would send every row on once for each such number.
        (F.min("label") != F.max("label")).alias("several_classes"),
        F.min(size).alias("least"),
        F.max(size).alias("most"),
        F.max("channels").alias("channels"),
        F.count_if(F.col("looks_like").isNull()).alias("not_compared"),
        F.max("number").alias("number"),
    )
    by_reason = {row["reason"]: row for row in sorted(totals.collect(), key=lambda row: row["reason"] or "")}
    tally = {reason: row["rows"] for reason, row in by_reason.items()}
    repeated = any(row["number"] > 1 for row in by_reason.values())
    kept = by_reason.get(None)
    if kept is None:
        return Judgement(tally, {}, several_classes=False, least=(0, 0), most=(0, 0), channels=0, repeated=repeated)
    names = divided.where(F.col("reason").isNull()).select(F.explode("warnings").alias("name")).groupBy("name").count().collect()
    warned = {**{row["name"]: row["count"] for row in names}, "not_compared": kept["not_compared"]}
    return Judgement(
        tally,
        warned,
        several_classes=bool(kept["several_classes"]),
        least=tuple(kept["least"]),
        most=tuple(kept["most"]),
        channels=kept["channels"],
        repeated=repeated,
    )


def _noticed(condition: Column, name: str) -> Column:
    return F.when(condition, F.array(F.lit(name))).otherwise(F.array().cast("array<string>"))
