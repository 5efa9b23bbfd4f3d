"""The options of the table job."""

from dataclasses import dataclass

from bigdata_ml.prepare.features.selection.verdicts import FeatureSelection
from bigdata_ml.prepare.publish.gate import Limit
from bigdata_ml.prepare.sources.any_source import is_file_source
from bigdata_ml.prepare.sources.tables.flatten import parse_map_keys
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.split.from_paths import SplitFrom
from bigdata_ml.prepare.tables.declared_types import parse_types
from bigdata_ml.prepare.tables.steps import parse_rename
from bigdata_ml.shown import refuse_credentials

__all__ = ["TableJob"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TableJob:
    """Turn a table into a dataset: join, label, refuse rows without a label, drop columns, split and publish.

    Attributes:
        source: URL of the table: a file or a directory of CSV, JSON lines, Parquet or ORC; `hive:TABLE` or `hive:SELECT …`;
            `jdbc:…#TABLE` or `jdbc:…#TABLE#COLUMN/PARTS` (JDBC_USER, JDBC_PASSWORD).
        dataset: URL of the dataset to publish; it must not exist yet, except with `replace`.
        label: the column to predict, or NAME=EXPRESSION in Spark SQL, such as `late=arr_delay > 15`.
        replace: publish a new version of an existing dataset; readers see either the old or the new version.
        incremental: with `replace`: do nothing if no file, option or rule has changed since the last version. Otherwise read
            the whole table, because rules compare rows.
        max_refused: limit of refused rows, `[REASON=]NUMBER[%]`. The reason is `label_missing` or a rule such as `month.range`,
            for which filled and warned rows count too. More rows end the job before it publishes.
        map_keys: keys of a map that become columns, `COLUMN:KEY[,KEY…]`; structs are flattened automatically.
        drop: columns to drop, `[RULE:]A,B`; the manifest records the rule's name as the reason.
        rename: new names of source columns, `OLD=NEW[,OLD=NEW]`; all other options use the new names.
        join: tables to join, `[NAME=]URL:key_here=key_there[,…]`; their columns become NAME_COLUMN.
        categorical: whole-number columns that are categories, `A,B`; text and boolean columns always are.
        split_key: columns `A,B`; rows with equal values stay in one split. By default the whole row is the key.
        split: shares of the splits.
        split_from: take the split from the path of a row's file: `folder` uses directories or files called train, val, test
            and similar names; `path:REGEX` uses the expression's first group as such a name.
        seed: seed of the split and of the order in the files.
        null_value: text that means null in CSV, besides no text at all; quoted text is never null.
        types: types of columns, `A=TYPE[,B=TYPE…]`: integer, number, text, boolean, date, timestamp. By default those of CSV are
            inferred from all values (docs/tables.md). A row with a value of another type is refused as `A.type`.
        separator: between values in CSV; by default a comma, in `.tsv` a tab.
        quote: around values in CSV.
        encoding: of CSV and JSON files; by default UTF-8, or what a byte order mark says.
        decimal_comma: whether numbers in CSV have a decimal comma.
        thousands: the thousands separator of numbers in CSV.
        rules: URL of a YAML file of rules (docs/tables.md); `bigdata-ml profile` suggests one.
        min_count: category values with fewer train rows become the unknown value.
        max_vocabulary: number of values kept per category, the most frequent ones.
        max_classes: limit of classes of a label of text, booleans or whole numbers; more end the job.
        row_group_bytes: target size of a row group in Arrow bytes.
        select_features: how many columns to keep besides the label, `120` or `10%`: those that best predict it on the train
            rows (docs/tables.md); by default all.
    """

    source: str
    dataset: str
    label: str
    replace: bool = False
    incremental: bool = False
    max_refused: tuple[str, ...] = ()
    map_keys: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    categorical: str = ""
    split_key: str = ""
    split: str = "train=0.8,validation=0.1,test=0.1"
    split_from: str = ""
    seed: int = 0
    null_value: str = ""
    types: tuple[str, ...] = ()
    separator: str = ""
    quote: str = '"'
    encoding: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    rules: str = ""
    min_count: int = 1
    max_vocabulary: int = 100_000
    max_classes: int = 100_000
    row_group_bytes: int = 8 << 20
    select_features: str = ""

    def __post_init__(self) -> None:
        if self.incremental and not self.replace:
            raise ValueError("incremental updates an existing dataset and needs replace")
        if self.min_count < 1 or self.max_vocabulary < 1:
            raise ValueError(f"min_count and max_vocabulary must be 1 or more, got {self.min_count} and {self.max_vocabulary}")
        if self.max_classes < 1:
            raise ValueError(f"max_classes must be 1 or more, got {self.max_classes}")
        if self.split_from:
            SplitFrom(self.split_from)
            if self.split_key:
                raise ValueError("split_key makes a new split and has no effect with split_from; remove one of them")
            if not is_file_source(self.source):
                raise ValueError("split_from needs files, because it takes splits from their paths; a database table has none")
        if self.select_features:
            FeatureSelection.parse(self.select_features)
        for url in (self.source, self.dataset, *self.join, self.rules):
            # The manifest records the arguments.
            refuse_credentials(url)
        # Parsing raises ValueError for wrong options.
        _ = self.limits, parse_map_keys(self.map_keys), parse_rename(self.rename), parse_types(self.types), self.form

    @property
    def limits(self) -> list[Limit]:
        """How many rows may be refused."""
        return [Limit.parse(text) for text in self.max_refused]

    @property
    def form(self) -> TextFormat:
        """How text files are written."""
        return TextFormat(
            separator=self.separator,
            quote=self.quote,
            encoding=self.encoding,
            decimal_comma=self.decimal_comma,
            thousands=self.thousands,
            null_value=self.null_value,
        )

    @property
    def needs_hive(self) -> bool:
        """Whether a source is a Hive table."""
        return self.source.startswith("hive:") or any("hive:" in join for join in self.join)
