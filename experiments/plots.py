"""The pictures a person wants of a task's answers; each is one matplotlib figure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from experiments.evaluate import Held, LearningCurve
from experiments.selection import Contender, Selection
from registry.metrics import Metric

SIZE = (7.0, 5.0)  # inches
DOTS = 110  # an inch
INK, ACCENT, PALE = "#24292f", "#0969da", "#afb8c1"
SHOWN_COLUMNS = 20
SHOWN_CLASSES = 12
MOST_POINTS = 3000


def pictures(held: Held, classes: Sequence[Any] | None) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture of a finalist's answers on the held-out rows."""
    if classes is None:
        yield "predicted-against-actual", predicted(held)
        yield "residuals", residuals(held)
        return
    names = [str(name) for name in classes]
    yield "confusion", confusion(held, names)
    yield "roc", curves(held, names, _roc, ("false positive rate", "true positive rate"))
    yield "precision-recall", curves(held, names, _precision_recall, ("recall", "precision"))
    yield "calibration", calibration(held, names)


def _figure(title: str, x: str, y: str, size: tuple[float, float] = SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#eaeef2")
    axes.set_axisbelow(True)
    return figure, axes


def _amounts(axis: Any) -> None:
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


# --- candidates ---


def candidates(selection: Selection, metric: Metric) -> Figure:
    """Every fold of every candidate, the best on top."""
    ranking = selection.ranking[::-1]
    figure, axes = _figure(
        f"{selection.winner.name} won ({selection.rule})",
        f"{metric.name} by fold ({metric.goal} is better)",
        "",
        (SIZE[0], 1.6 + 0.6 * len(ranking)),
    )
    axes.set_yticks(range(len(ranking)), [each.name for each in ranking])
    for height, each in enumerate(ranking):
        colour = ACCENT if each is selection.winner else PALE
        axes.plot(each.folds, [height] * len(each.folds), "o", color=colour, alpha=0.6)
        axes.plot([each.mean], [height], "|", color=INK, markersize=18, markeredgewidth=2)
    axes.set_ylim(-0.6, len(ranking) - 0.4)
    _leave_out_dummies(axes, ranking)
    return figure


def _leave_out_dummies(axes: Axes, ranking: Sequence[Contender]) -> None:
    """The baseline is so far off that the others would be one dot: say where it is instead."""
    serious = [score for each in ranking if each.family != "dummy" for score in each.folds]
    if not serious or len(serious) == sum(len(each.folds) for each in ranking):
        return
    low, high = min(serious), max(serious)
    margin = max(0.15 * (high - low), 1e-9)
    axes.set_xlim(low - margin, high + margin)
    for height, each in enumerate(ranking):
        if each.family == "dummy" and not low - margin <= each.mean <= high + margin:
            left = each.mean < low
            axes.annotate(
                f"{'← ' if left else ''}{each.mean:.4g}{'' if left else ' →'}",
                (0.01 if left else 0.99, height),
                xycoords=("axes fraction", "data"),
                ha="left" if left else "right",
                va="center",
                color=INK,
            )


def learning(curve: LearningCurve, metric: Metric, name: str) -> Figure:
    """Whether more rows would help."""
    figure, axes = _figure(
        f"Learning curve of {name}", "rows learned from", f"{metric.name} ({metric.goal} is better)"
    )
    scores = np.array(curve.scores)
    axes.fill_between(curve.rows, scores.min(axis=1), scores.max(axis=1), color=ACCENT, alpha=0.12)
    axes.plot(curve.rows, scores, "o", color=ACCENT, alpha=0.35, markersize=4)
    axes.plot(curve.rows, scores.mean(axis=1), "o-", color=ACCENT, label="mean of the folds")
    axes.set_xlim(0, None)
    _amounts(axes.xaxis)
    axes.legend(frameon=False)
    return figure


def importance(table: pd.DataFrame, metric: Metric, name: str) -> Figure:
    """The columns the model leans on."""
    shown = table.head(SHOWN_COLUMNS)[::-1]
    figure, axes = _figure(
        f"What {name} leans on",
        f"{metric.name} lost when the column is shuffled",
        "",
        (SIZE[0], 1.4 + 0.28 * len(shown)),
    )
    axes.barh(shown["column"], shown["importance"], xerr=shown["spread"], color=ACCENT, ecolor=INK)
    axes.grid(axis="y", visible=False)
    if len(table) > len(shown):
        axes.set_ylabel(f"the first {len(shown)} of {len(table)} columns")
    return figure


# --- regression ---


def predicted(held: Held) -> Figure:
    """On the diagonal the answer is right."""
    figure, axes = _figure("Held-out rows", "actual", "predicted")
    actual, answer = _some(held)
    axes.plot(actual, answer, "o", color=ACCENT, alpha=0.35, markersize=4, markeredgewidth=0)
    ends = [min(actual.min(), answer.min()), max(actual.max(), answer.max())]
    axes.plot(ends, ends, color=INK, linewidth=1)
    _amounts(axes.xaxis)
    _amounts(axes.yaxis)
    return figure


def residuals(held: Held) -> Figure:
    """Where and how far the answers miss."""
    figure = Figure(figsize=(9.5, 4.5), dpi=DOTS, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[2, 1], sharey=True)
    actual, answer = _some(held)
    left.plot(answer, answer - actual, "o", color=ACCENT, alpha=0.35, markersize=4, mew=0)
    right.hist(answer - actual, bins=40, orientation="horizontal", color=ACCENT)
    left.set_title("Held-out rows", loc="left", color=INK)
    left.set_xlabel("predicted")
    left.set_ylabel("predicted - actual")
    right.set_xlabel("rows")
    for axes in (left, right):
        axes.axhline(0, color=INK, linewidth=1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#eaeef2")
        axes.set_axisbelow(True)
    _amounts(left.xaxis)
    _amounts(left.yaxis)
    return figure


def _some(held: Held) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Enough points to see the cloud."""
    step = max(1, len(held.answers) // MOST_POINTS)
    return held.answers.actual[::step], held.answers.prediction[::step]


# --- classes ---


def confusion(held: Held, names: Sequence[str]) -> Figure:
    """Rows by actual and predicted class."""
    known = held.answers.actual >= 0
    table = confusion_matrix(
        held.answers.actual[known], held.answers.prediction[known], labels=range(len(names))
    )
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 3.2 + 0.75 * len(names)
    figure, axes = _figure("Held-out rows", "predicted", "actual", (side + 1, side))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set_xticks(range(len(names)), names, rotation=30 if len(names) > 3 else 0)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= SHOWN_CLASSES:
        for row, column in np.ndindex(table.shape):
            share = shares[row, column]
            axes.text(
                column, row, f"{table[row, column]:,}\n{share:.0%}", ha="center", va="center",
                color="white" if share > 0.6 else INK,
            )  # fmt: skip
    return figure


def curves(held: Held, names: Sequence[str], curve: Any, labels: tuple[str, str]) -> Figure:
    """One curve for two classes, else one against the rest for each class."""
    figure, axes = _figure("Held-out rows", *labels)
    chosen = [1] if len(names) == 2 else range(min(len(names), SHOWN_CLASSES))
    for k in chosen:
        hit = held.answers.actual == k
        if 0 < hit.sum() < len(hit) and held.answers.probability is not None:
            x, y, level = curve(hit, held.answers.probability[:, k])
            axes.plot(x, y, label=names[k], color=ACCENT if len(names) == 2 else None)
            if level is not None and len(names) == 2:
                axes.axhline(level, color=PALE, linewidth=1, label="guessing")
    if curve is _roc:
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, label="guessing")
    scores = _scores(held.scores, ("roc_auc",) if curve is _roc else ("average_precision",))
    axes.set_title(f"Held-out rows{scores}", loc="left", color=INK)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.legend(frameon=False)
    return figure


def _roc(hit: Any, score: Any) -> tuple[Any, Any, float | None]:
    x, y, _ = roc_curve(hit, score)
    return x, y, None


def _precision_recall(hit: Any, score: Any) -> tuple[Any, Any, float | None]:
    precision, recall, _ = precision_recall_curve(hit, score)
    return recall, precision, float(np.mean(hit))


def _scores(scores: Mapping[str, float], wanted: Sequence[str]) -> str:
    return "".join(f", {name} {scores[name]:.4f}" for name in wanted if name in scores)


def calibration(held: Held, names: Sequence[str]) -> Figure:
    """Whether what is said to happen in 7 of 10 cases happens in 7 of 10."""
    figure, axes = _figure(
        f"Held-out rows{_scores(held.scores, ('log_loss',))}", "probability", "how often it is so"
    )
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1, label="as said")
    for k in [1] if len(names) == 2 else range(min(len(names), SHOWN_CLASSES)):
        hit = held.answers.actual == k
        if 0 < hit.sum() < len(hit) and held.answers.probability is not None:
            often, said = calibration_curve(
                hit, held.answers.probability[:, k], n_bins=10, strategy="quantile"
            )
            colour = ACCENT if len(names) == 2 else None
            axes.plot(said, often, "o-", label=names[k], color=colour, markersize=4)
    axes.legend(frameon=False)
    return figure
