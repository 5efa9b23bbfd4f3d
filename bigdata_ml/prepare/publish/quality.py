"""What the cleaning found, as a page to look at and as numbers."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from bigdata_ml.dataset import Cleaning, Statistics, Vocabulary
from bigdata_ml.pages import (
    Block,
    Card,
    Figure,
    Gallery,
    Picture,
    Section,
    Table,
    bar_chart,
    examples_table,
    joins_table,
    number_text,
    refused_blocks,
    render_page,
    share_text,
    tally_table,
    warned_table,
)

__all__ = ["quality_page"]

VERSION = 1
_MOST_CLASSES = 30
_MOST_VALUES = 10
_SHARES = {"1 %": "0.01", "25 %": "0.25", "median": "0.5", "75 %": "0.75", "99 %": "0.99"}


def quality_page(
    *,
    dataset_url: str,
    cleaning: Cleaning,
    splits: Mapping[str, int],
    label: str | None,
    vocabularies: Mapping[str, Vocabulary],
    statistics: Mapping[str, Statistics],
    joins: Sequence[Mapping[str, Any]],
    refused_samples: pa.Table,
    kept_samples: Sequence[Picture],
    provenance: Mapping[str, Any],
    galleries: Sequence[Gallery] = (),
    near_groups: Sequence[Sequence[str]] = (),
    more_sections: Sequence[Section] = (),
    more_numbers: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[bytes, bytes]:
    """Return the quality page as HTML and its numbers as JSON.

    Args:
        dataset_url: where the dataset is published.
        cleaning: the verdict.
        splits: rows by split; empty for a dataset without splits.
        label: the field to predict, or None.
        vocabularies, statistics: by field, over the train split.
        joins: what each join did: name, keys, rows, matched, unmatched, multiplied.
        refused_samples: some refused rows, with the columns of `QUARANTINE_SCHEMA`.
        kept_samples: some kept rows as pictures; empty for tables.
        provenance: source, arguments, versions.
        galleries: more pictures of rows, each with its caption.
        near_groups: sources of images that look alike, by group.
        more_sections, more_numbers: what else a job has to show, and the same as JSON values.

    Raises:
        ValueError: statistics or provenance that JSON cannot hold, such as NaN.
    """
    refused = sum(cleaning.refused.values())
    sections = [
        _cleaning(cleaning, refused_samples, kept_samples, galleries),
        *([_joins(joins)] if joins else []),
        *([_splits(splits, label, vocabularies)] if splits or label in vocabularies else []),
        *([_vocabularies(vocabularies)] if vocabularies else []),
        *([_statistics(statistics)] if statistics else []),
        *more_sections,
        _provenance(provenance),
    ]
    cards = [
        Card("Found", number_text(cleaning.found), "rows or files looked at"),
        Card("Kept", number_text(cleaning.kept), share_text(cleaning.kept / cleaning.found if cleaning.found else None)),
        Card("Refused", number_text(refused), f"{sum(1 for count in cleaning.refused.values() if count)} reasons, in quarantine"),
        Card("Let pass", number_text(sum(cleaning.warned.values())), "noticed, not refused"),
    ]
    page = render_page(
        title=f"Data quality: {dataset_url.rstrip('/').rsplit('/', 1)[-1]}",
        subtitle=dataset_url,
        cards=cards,
        sections=sections,
        footer="The numbers of this page are in quality.json beside it.",
    )
    numbers = {
        "version": VERSION,
        "dataset": dataset_url,
        "found": cleaning.found,
        "kept": cleaning.kept,
        "refused": dict(cleaning.refused),
        "warned": dict(cleaning.warned),
        "rules": dict(cleaning.rules),
        "splits": dict(splits),
        "label": label,
        "joins": [dict(join) for join in joins],
        "vocabularies": {name: _vocabulary_numbers(item) for name, item in vocabularies.items()},
        "statistics": {name: item.to_json() for name, item in statistics.items()},
        **({"near_duplicates": [list(group) for group in near_groups]} if near_groups else {}),
        "provenance": dict(provenance),
        **more_numbers,
    }
    return page, (json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _cleaning(
    cleaning: Cleaning, refused_samples: pa.Table, kept_samples: Sequence[Picture], galleries: Sequence[Gallery]
) -> Section:
    blocks: list[Block] = [tally_table(cleaning.refused, found=cleaning.found, kept=cleaning.kept)]
    if cleaning.warned:
        blocks.append(warned_table(cleaning.warned))
    if refused_samples.num_rows:
        blocks.append(examples_table(refused_samples))
    if kept_samples:
        blocks.append(Gallery(kept_samples, f"Kept: {len(kept_samples)} samples"))
    blocks += galleries
    if refused_samples.num_rows:
        blocks += refused_blocks(refused_samples)
    if cleaning.rules:
        blocks.append(Table(("rule", "what was done"), [(name, _text(rule)) for name, rule in cleaning.rules.items()]))
    return Section(
        "Cleaning", "Every row found is kept or refused, and each refusal has a reason and lies in quarantine.", blocks
    )


def _joins(joins: Sequence[Mapping[str, Any]]) -> Section:
    return Section("Joins", "What was joined to the rows, and how many found a partner.", [joins_table(joins)])


def _splits(splits: Mapping[str, int], label: str | None, vocabularies: Mapping[str, Vocabulary]) -> Section:
    rows = sum(splits.values())
    table = [(name, count, share_text(count / rows if rows else None)) for name, count in splits.items()]
    blocks: list[Block] = [Table(("split", "rows", "share"), table)] if splits else []
    vocabulary = vocabularies.get(label) if label is not None else None
    if vocabulary is not None and vocabulary.values:
        shown = _most_frequent(vocabulary, _MOST_CLASSES)
        svg = bar_chart([name for name, _ in shown], [count for _, count in shown], title=f"Rows by {label}", x_label="rows")
        blocks.append(Figure(svg, f"Rows of the train split by {label}: {len(shown)} of {len(vocabulary.values)} classes"))
    return Section("Splits and classes", "How the rows were divided, and how often each class occurs.", blocks)


def _vocabularies(vocabularies: Mapping[str, Vocabulary]) -> Section:
    rows = [
        (
            name,
            vocabulary.size,
            vocabulary.rare,
            ", ".join(f"{value} ({count:,})" for value, count in _most_frequent(vocabulary, _MOST_VALUES)),
        )
        for name, vocabulary in vocabularies.items()
    ]
    table = Table(("field", "ids", "rare values left out", "most frequent in the train split"), rows)
    return Section("Vocabularies", "The values of each field, which the reader turns into ids.", [table])


def _statistics(statistics: Mapping[str, Statistics]) -> Section:
    rows = [
        (
            name,
            field_statistics.count,
            field_statistics.nulls,
            _numbers(field_statistics.mean),
            _numbers(field_statistics.std),
            field_statistics.least,
            *_shares(field_statistics),
            field_statistics.greatest,
        )
        for name, field_statistics in statistics.items()
    ]
    table = Table(("field", "known", "nulls", "mean", "standard deviation", "least", *_SHARES, "greatest"), rows)
    return Section("Statistics", "Over the train split only, so that nothing of the other splits is learned.", [table])


def _provenance(provenance: Mapping[str, Any]) -> Section:
    rows = [(name, _text(value)) for name, value in provenance.items() if name != "joins"]
    return Section("Provenance", "Where the rows came from and what made them.", [Table(("what", "value"), rows)])


def _vocabulary_numbers(vocabulary: Vocabulary) -> dict[str, Any]:
    frequent = _most_frequent(vocabulary, _MOST_CLASSES)
    return {"size": vocabulary.size, "rare": vocabulary.rare, "unknown": vocabulary.unknown, "frequent": frequent}


def _most_frequent(vocabulary: Vocabulary, most: int) -> list[tuple[str, int]]:
    """Return values and counts: in the vocabulary's order if all fit, else the most frequent."""
    pairs = list(zip(map(str, vocabulary.values), vocabulary.counts, strict=True))
    return pairs if len(pairs) <= most else sorted(pairs, key=lambda pair: -pair[1])[:most]


def _shares(field_statistics: Statistics) -> tuple[float | None, ...]:
    return tuple(field_statistics.quantiles.get(share) for share in _SHARES.values())


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(number_text(value) for value in values)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
