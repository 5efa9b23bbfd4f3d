"""The report's section on what the models are worth: against the majority class, the baselines, and by their errors."""

import math
from collections.abc import Sequence
from typing import Any

from bigdata_ml.pages import (
    Block,
    Figure,
    Section,
    Series,
    Table,
    Text,
    confusion_matrix,
    curve,
    number_text,
)
from bigdata_ml.report.groups import Group

__all__ = ["METRICS", "best_sentence", "evaluation_section", "with_spread"]

METRICS = {
    "top1": "top-1 accuracy",
    "top5": "top-5 accuracy",
    "roc_auc": "ROC AUC",
    "accuracy": "accuracy",
    "log_loss": "log loss",
}
_OF_TASK = {"multiclass": ("top1", "top5", "log_loss"), "binary": ("roc_auc", "accuracy", "log_loss")}


def evaluation_section(group: Group) -> Section:
    """Return the comparison of all models and the network's errors on rows that it was not trained on."""
    evaluated = [run.evaluation for run in group.runs if run.evaluation is not None]
    title = f"{group.name}: evaluation"
    if not evaluated:
        return Section(title, "No run has been evaluated yet.", [])
    first = evaluated[0]
    lead = (
        f"{number_text(first['rows'])} rows of the {first['split']} split, which no model was trained on. {best_sentence(group)}"
    )
    blocks: list[Block] = [_models(group)]
    if len(evaluated) < len(group.runs):
        blocks.append(Text(f"{len(evaluated)} of {len(group.runs)} runs have been evaluated.", warning=True))
    blocks += [
        Text(f"No {METRICS.get(metric, metric)}: {why}.", warning=metric == group.headline)
        for metric, why in group.undefined.items()
    ]
    if group.task == "binary":
        curves = [evaluation for evaluation in evaluated if evaluation["roc_curve"] is not None]
        blocks += [*([_roc(curves, group)] if curves else []), _calibration(first, group)]
    blocks += _confusion(evaluated, group)
    return Section(title, lead, blocks)


def best_sentence(group: Group) -> str:
    """Return the sentence that names the best of network, baselines and majority class."""
    metric = group.headline
    if metric in group.undefined and group.mean(metric) is None:
        return f"The {METRICS[metric]} is not defined: {group.undefined[metric]}."
    scores = {"the network": group.mean(metric), **{baseline.title: baseline.metrics.get(metric) for baseline in group.baselines}}
    scores["the majority class"] = group.mean("majority_accuracy") if metric == "top1" else 0.5
    ranked = sorted(((score, name) for name, score in scores.items() if score is not None and math.isfinite(score)), reverse=True)
    if len(ranked) < 2:
        return f"The {METRICS[metric]} is not known."
    (best, winner), (second, runner_up) = ranked[:2]
    if best == second:
        return f"By {METRICS[metric]}, {winner} and {runner_up} are level at {best:.4f}."
    return f"By {METRICS[metric]}, {winner} is best with {best:.4f}, {best - second:.4f} ahead of {runner_up}."


def with_spread(group: Group, metric: str) -> str:
    """Return the mean of a metric over the runs with its standard deviation, if there are several."""
    mean, spread = group.mean(metric), group.spread(metric)
    if mean is None or spread is None:
        return "–"
    return f"{mean:.4f} ± {spread:.4f}" if len(group.values(metric)) > 1 else f"{mean:.4f}"


def _models(group: Group) -> Table:
    metrics = _OF_TASK[group.task]
    accuracy = group.mean("majority_accuracy")
    majority = {"accuracy": accuracy, "top1": accuracy, "roc_auc": 0.5, "log_loss": group.mean("majority_log_loss")}
    seconds = [run.seconds for run in group.runs]
    rows: list[tuple[str, ...]] = [
        ("network", *(with_spread(group, metric) for metric in metrics), f"{sum(seconds) / len(seconds):.1f}"),
        *(
            (baseline.title, *(_score(baseline.metrics.get(name)) for name in metrics), f"{baseline.seconds:.1f}")
            for baseline in group.baselines
        ),
        ("majority class", *(_score(majority.get(one)) for one in metrics), "–"),
    ]
    caption = f"The network's figures are means of {len(group.runs)} runs ± their standard deviation" if len(seconds) > 1 else ""
    return Table(("model", *(METRICS[one] for one in metrics), "seconds to train"), rows, caption)


def _score(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _roc(evaluated: Sequence[dict[str, Any]], group: Group) -> Figure:
    lines = [
        Series(name=f"run {number}", x=evaluation["roc_curve"]["fpr"], y=evaluation["roc_curve"]["tpr"])
        for number, evaluation in enumerate(evaluated[:5], start=1)
    ]
    title = f"{group.name}: ROC curve"
    svg = curve(lines, title=title, x_label="share of negatives called positive", y_label="share of positives found")
    return Figure(svg, f"ROC curve; area {with_spread(group, 'roc_auc')}, the dotted diagonal is chance")


def _calibration(evaluation: dict[str, Any], group: Group) -> Figure:
    calibration = evaluation["calibration"]
    line = Series(name="first run", x=calibration["predicted"], y=calibration["observed"])
    title = f"{group.name}: calibration"
    svg = curve([line], title=title, x_label="predicted probability", y_label="share that came true")
    return Figure(svg, "Calibration of the first run; on the dotted diagonal, predictions mean what they say")


def _confusion(evaluated: Sequence[dict[str, Any]], group: Group) -> list[Block]:
    classes = evaluated[0]["classes"]
    alike = [evaluation["confusion"] for evaluation in evaluated if evaluation["classes"] == classes]
    total = [[sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*alike, strict=True)]
    which = f"the sum of {len(alike)} runs" if len(alike) > 1 else "one run"
    figure = Figure(confusion_matrix(total, classes, title=f"{group.name}: confusion matrix"), f"Confusion matrix, {which}")
    return [figure, _worst(total, classes)]


def _worst(total: Sequence[Sequence[int]], classes: Sequence[str]) -> Table:
    """Return the most frequent confusions."""
    errors = [
        (count, true, predicted)
        for true, row in zip(classes, total, strict=True)
        for predicted, count in zip(classes, row, strict=True)
        if true != predicted and count
    ]
    rows = [(true, predicted, count) for count, true, predicted in sorted(errors, key=lambda error: -error[0])[:8]]
    return Table(("true", "taken for", "rows"), rows, "The most frequent errors")
