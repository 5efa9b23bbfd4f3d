"""The report's section on what was cleaned and why."""

from bigdata_ml.dataset import QUARANTINE_SCHEMA, Dataset
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.pages import (
    Block,
    Figure,
    Gallery,
    Section,
    Text,
    bar_chart,
    examples_table,
    joins_table,
    number_text,
    refused_blocks,
    tally_table,
    warned_table,
)
from bigdata_ml.report.groups import Group
from bigdata_ml.report.origin import Origin
from bigdata_ml.report.samples import sample_pictures

__all__ = ["cleaning_section"]

_MOST_PICTURES = 24
_MOST_CLASSES = 30


def cleaning_section(group: Group, origin: Origin) -> Section:
    """Return what the cleaning kept and refused, with examples; what cannot be shown is said."""
    blocks: list[Block] = [Text(problem, warning=True) for problem in origin.problems]
    cleaning = origin.cleaning
    lead = "What is known of the data these runs were trained on."
    if cleaning is not None:
        refused = sum(cleaning.refused.values())
        sign = "=" if cleaning.found == cleaning.kept + refused else "≠"
        lead = (
            f"{number_text(cleaning.found)} rows were found {sign} {number_text(cleaning.kept)} kept + {number_text(refused)} "
            "refused. No row is dropped without a reason."
        )
        blocks.append(tally_table(cleaning.refused, found=cleaning.found, kept=cleaning.kept))
    if origin.dataset is not None:
        blocks += _label_blocks(origin.dataset, group.runs[0].record.label)
    if cleaning is not None and cleaning.warned:
        blocks.append(warned_table(cleaning.warned))
    if origin.dataset is not None:
        blocks += _dataset_blocks(origin.dataset, label=group.runs[0].record.label)
    return Section(f"{group.name}: cleaning", lead, blocks)


def _dataset_blocks(dataset: Dataset, *, label: str) -> list[Block]:
    blocks: list[Block] = []
    quarantine = QUARANTINE_SCHEMA.empty_table()
    try:
        quarantine = dataset.quarantine()
    except BigDataMLError as error:
        blocks.append(Text(f"The refused rows cannot be shown. {error}", warning=True))
    if quarantine.num_rows:
        blocks.append(examples_table(quarantine))
    try:
        pictures = sample_pictures(dataset, label=label, most=_MOST_PICTURES)
    except BigDataMLError as error:
        blocks.append(Text(f"Sample pictures cannot be shown. {error}", warning=True))
    else:
        if pictures:
            blocks.append(Gallery(pictures, f"Kept: {len(pictures)} rows of the first row group, with their label"))
    if quarantine.num_rows:
        blocks += refused_blocks(quarantine)
    joins = dataset.manifest.provenance.get("joins") if dataset.manifest else None
    if joins:
        blocks.append(joins_table(joins))
    return blocks


def _label_blocks(dataset: Dataset, label: str) -> list[Block]:
    vocabulary = dataset.vocabularies.get(label)
    if vocabulary is None or not vocabulary.values:
        return []
    classes = list(zip(map(str, vocabulary.values), vocabulary.counts, strict=True))
    shown = classes if len(classes) <= _MOST_CLASSES else sorted(classes, key=lambda class_count: -class_count[1])[:_MOST_CLASSES]
    chart = bar_chart(
        [name for name, _ in shown], [count for _, count in shown], title=f"Rows by {label} in the train split", x_label="rows"
    )
    caption = f"Rows of the train split by {label}"
    if len(shown) < len(classes):
        caption += f": the most frequent {len(shown)} of {len(classes)} values"
    return [Figure(chart, caption)]
