"""The report's section on how the runs learned: loss and metric by epoch."""

import math
import statistics
from collections.abc import Callable

from bigdata_ml.pages import Block, Figure, Section, Series, Text, line_chart
from bigdata_ml.report.groups import Group
from bigdata_ml.report.records import EpochRecord

__all__ = ["learning_section"]


def learning_section(group: Group) -> Section:
    """Return the learning curves: the mean of the runs, with a band from the lowest to the highest."""
    blocks: list[Block] = [
        Text(f"{run.directory}: the last line of its metrics was torn when the run was killed; it is left out.", warning=True)
        for run in group.runs
        if run.epochs.torn is not None
    ]
    losses = [
        *_series(group, "train", lambda epoch: epoch.train_loss),
        *_series(group, "validation", lambda epoch: epoch.validation_loss),
    ]
    if losses:
        svg = line_chart(losses, title=f"{group.name}: loss by epoch", x_label="epoch", y_label="loss")
        blocks.append(Figure(svg, "Loss by epoch"))
    name = "top-1 accuracy" if group.headline == "top1" else "ROC AUC"
    metric = _series(group, "validation", lambda epoch: getattr(epoch, f"validation_{group.headline}"))
    if metric:
        svg = line_chart(metric, title=f"{group.name}: validation {name} by epoch", x_label="epoch", y_label=name)
        blocks.append(Figure(svg, f"Validation {name} by epoch"))
    if not group.epochs:
        blocks.append(Text("No epoch has been finished yet.", warning=True))
    many = f"The mean of {len(group.runs)} runs; the band goes from the lowest to the highest."
    return Section(f"{group.name}: learning", many if len(group.runs) > 1 else "One run.", blocks)


def _series(group: Group, name: str, figure: Callable[[EpochRecord], float | None]) -> list[Series]:
    """Return the line of one figure, or none if no epoch has it."""
    by_epoch: dict[int, list[float]] = {}
    for epoch in group.epochs:
        value = figure(epoch)
        by_epoch.setdefault(epoch.epoch, []).extend([] if value is None else [value])
    if not any(by_epoch.values()):
        return []
    epochs = sorted(by_epoch)
    several = len(group.runs) > 1
    low, high = ([bound(by_epoch[epoch], default=math.nan) for epoch in epochs] for bound in (min, max))
    mean = [statistics.fmean(by_epoch[epoch]) if by_epoch[epoch] else math.nan for epoch in epochs]
    return [Series(name=name, x=epochs, y=mean, low=low if several else None, high=high if several else None)]
