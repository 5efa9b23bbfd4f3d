"""The names users may import, room by room, and what importing them must not start."""

import importlib
import subprocess
import sys

import pytest

ROOMS = {
    "errors": [
        "BigDataMLError", "ChecksumMismatch", "DatasetInvalid", "DatasetNotFound", "DecodeFailed", "EngineUnavailable",
        "JobRefused", "MetadataUnreadable", "ResumeMismatch", "SchemaMismatch", "StorageUnavailable", "TrainingFailed",
        "WorldSizeNotAllowed",
    ],
    "storage": [
        "SCHEMES",
        "Entry",
        "FilePart",
        "Location",
        "Retry",
        "Tree",
        "is_hidden",
        "is_store_failure",
        "lakehouse_above",
        "lakehouse_below",
        "list_tree",
        "locate",
        "locate_by_fsspec",
        "natural_order",
        "place_in",
        "reading",
        "way_out",
        "writing",
    ],
    "schema": [
        "Codec", "Field", "NullPolicy", "Schema", "common_type",
        "from_stored",
        "plain_type", "stored_schema", "stored_table", "type_from_text",
        "type_to_text",
    ],
    "petastorm_bridge": ["install", "send_to_workers"],
    "pages": [
        "Block", "Card", "Figure", "Gallery", "Picture", "Section", "Series", "Table", "Text", "bar_chart", "confusion_matrix",
        "curve", "duration_text", "examples_table", "joins_table", "line_chart", "money_text", "number_text", "paired_bars",
        "paired_histogram", "picture_of", "refused_blocks", "render_page", "share_text", "tally_table", "warned_table",
    ],
    "dataset": [
        "QUARANTINE_SCHEMA", "Cleaning", "Contract", "Dataset", "Finding", "Manifest", "PartFile", "PartWriter",
        "PetastormCodec", "PetastormField", "PetastormIndex", "PetastormSchema", "QuarantineWriter", "RowGroups",
        "SplitSummary", "Staging", "Statistics", "Vocabulary", "WriteOptions", "adopt", "collect_garbage", "first_rows",
        "publish", "read_petastorm_indexes", "read_petastorm_row_groups", "read_petastorm_schema", "stage", "validate",
    ],
    "prepare": [
        "ImageJob", "SplitRule", "TableJob", "TableProfile", "TableRules", "TextFormat", "assign_split", "parse_rules",
        "prepare_images", "prepare_table", "profile_table", "read_rules", "spark_session",
    ],
    "reader": [
        "Cursor", "EpochPlan", "Member", "MemberRows", "Mixture", "MixtureSummary", "PlanSummary", "Rank",
        "ReadOptions", "Reader", "RowFilter", "RowWeights", "Sequence", "decode_batch", "open_reader", "summarise_mixture",
        "summarise_plan",
    ],
    "report": [
        "Baseline", "Cost", "DatasetRecord", "EpochRecord", "Epochs", "Meter", "Report", "RunDirectory", "RunRecord", "cost_of",
        "peak_rss_mb", "summarise", "write_baseline", "write_report",
    ],
    "loader": ["Loader", "compose", "make_loader", "random_crop", "random_flip"],
    "compat.petastorm": [
        "BatchedDataLoader", "CompressedImageCodec", "CompressedNdarrayCodec", "DataLoader", "DataframeColumnCodec",
        "InMemBatchedDataLoader", "IntersectIndexSelector", "NGram", "NdarrayCodec", "NoDataAvailableError", "PredicateBase",
        "Reader", "ScalarCodec", "SingleIndexSelector", "SparkDatasetConverter", "TransformSpec", "UnionIndexSelector",
        "Unischema", "UnischemaField", "WeightedSamplingReader", "dict_to_spark_row", "edit_field", "in_intersection",
        "in_lambda", "in_negate", "in_pseudorandom_split", "in_reduce", "in_set", "insert_explicit_nulls", "make_batch_reader",
        "make_reader", "make_spark_converter", "match_unischema_fields", "transform_schema",
    ],
    "compat.petastorm.spark": ["SparkDatasetConverter", "make_spark_converter"],
    "train": ["RECIPES", "TrainConfig", "evaluate", "predict", "recipe", "train"],
}  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_exports_exactly_these_names(room: str) -> None:
    module = importlib.import_module(f"bigdata_ml.{room}")
    assert module.__all__ == ROOMS[room]
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize("room", ROOMS)
def test_names_are_sorted_constants_first(room: str) -> None:
    assert ROOMS[room] == sorted(ROOMS[room], key=lambda name: (not name.isupper(), name[0].islower(), name))


def test_the_package_itself_exports_its_version_only() -> None:
    code = "import bigdata_ml; print([name for name in vars(bigdata_ml) if not name.startswith('__')], bigdata_ml.__version__)"
    assert modules(code).startswith("[] ")


@pytest.mark.parametrize(
    ("room", "foreign"),
    [
        ("cli", {"torch", "pyspark", "matplotlib", "PIL"}),
        ("reader", {"torch", "pyspark", "matplotlib", "PIL"}),
        ("report", {"torch", "pyspark"}),
        ("train", {"pyspark"}),
        ("prepare", {"torch"}),
        ("petastorm_bridge", {"numpy", "pandas", "petastorm", "pyarrow", "pyspark", "torch"}),
    ],
)
def test_importing_a_room_does_not_import_what_it_can_do_without(room: str, foreign: set[str]) -> None:
    loaded = modules(f"import bigdata_ml.{room}, sys; print(*sys.modules)").split()
    assert foreign.isdisjoint(loaded)


def modules(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
