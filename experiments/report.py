"""Why the winner won, in Markdown that the MLflow UI renders."""

from collections.abc import Mapping

from experiments.evaluate import Held
from experiments.search import Trial
from experiments.selection import Contender, Selection
from registry.artifact import Parity
from registry.metrics import Metric


def markdown(
    selection: Selection,
    metric: Metric,
    trials: Mapping[str, Trial],
    held: Mapping[str, Held],
    parity: Parity,
) -> str:
    """The reason, the ranking and what the compiled graph is worth."""
    return "\n\n".join(
        (
            reason(selection, metric),
            on_held_out_rows(selection, metric, held),
            table(selection, metric, trials, held),
            f"**Engine `{parity.engine}`**: {parity.reason}.",
        )
    )


def reason(selection: Selection, metric: Metric) -> str:
    """One paragraph: the rule, and the folds that decided."""
    winner, best = selection.winner, selection.best
    folds = len(winner.folds)
    score = f"{metric.name} {winner.mean:.4f} over {folds} folds"
    if len(selection.ranking) == 1:
        return f"**{winner.name}** won: it was the only candidate ({score})."
    if winner is best:
        rival = selection.ranking[1]
        lost = selection.losses[1]
        better = sum(metric.gain(w, r) > 0 for w, r in zip(winner.folds, rival.folds, strict=True))
        text = (
            f"**{winner.name}** won with the best mean, {score}. The next, {rival.name}, is worse "
            f"by {lost.mean:.4f} ± {lost.standard_error:.4f} (one standard error of the paired "
            f"differences); {winner.name} was better on {better} of {folds} folds."
        )
        if selection.rule == "one-standard-error":
            text += _nothing_smaller(selection)
        return text
    lost = selection.losses[selection.ranking.index(winner)]
    return (
        f"**{winner.name}** won as the smallest model that is as good as the best: {score} is "
        f"worse than {best.name} by {lost.mean:.4f}, within one standard error of the paired "
        f"differences ({lost.standard_error:.4f}), and it has {_size(winner)} instead of "
        f"{_size(best)}."
    )


def _nothing_smaller(selection: Selection) -> str:
    tied = [
        each.name
        for each, lost in zip(selection.ranking, selection.losses, strict=True)
        if lost.tied and each is not selection.winner
    ]
    if tied:
        return f" Within one standard error, and larger: {', '.join(tied)}."
    return " No other candidate is within one standard error of it."


def on_held_out_rows(selection: Selection, metric: Metric, held: Mapping[str, Held]) -> str:
    """What the rows said that were looked at once."""
    won = held[selection.winner.name]
    one = won.interval
    others = "; ".join(
        f"{name} {value:.4f}" for name, value in won.scores.items() if name != metric.name
    )
    return (
        f"On {len(won.answers):,} held-out rows, looked at once: {metric.name} {one.value:.4f} "
        f"(95 % interval {one.low:.4f} to {one.high:.4f}); {others}."
    )


def table(
    selection: Selection,
    metric: Metric,
    trials: Mapping[str, Trial],
    held: Mapping[str, Held],
) -> str:
    """One row a candidate, the best first."""
    lines = [
        f"| | candidate | {metric.name} | worse than the best by | held out "
        "| size | one row | parameters |",
        "| --: | --- | --: | --: | --: | --: | --: | --- |",
    ]
    for place, (each, lost) in enumerate(zip(selection.ranking, selection.losses, strict=True), 1):
        name = f"**{each.name}**" if each is selection.winner else each.name
        gap = f"{lost.mean:.4f} ± {lost.standard_error:.4f}" if place > 1 else ""
        seen = f"{held[each.name].interval.value:.4f}" if each.name in held else ""
        chosen = ", ".join(f"{k} {v}" for k, v in trials[each.name].parameters.items())
        spread = trials[each.name].spread
        lines.append(
            f"| {place} | {name} | {each.mean:.4f} ± {spread:.4f} | {gap} | {seen} "
            f"| {_size(each)} | {each.row_latency_ms:.1f} ms | {chosen} |"
        )
    return "\n".join(lines)


def _size(contender: Contender) -> str:
    kilobytes = contender.model_bytes / 1000
    return f"{kilobytes:,.0f} kB" if kilobytes < 10_000 else f"{kilobytes / 1000:,.0f} MB"
