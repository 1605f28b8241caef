"""Every figure of a bundle on one part of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.brackets import DEFAULT_BRACKETS, Bracket, parse_brackets
from edge.bundle import Bundle, load_confusion
from edge.correct import Calibration
from edge.ops.terminal import Progress, silent
from edge.types import Image
from training.evaluation.bootstrap import intervals
from training.evaluation.calibration import calibration_error, reliability
from training.evaluation.crowds import headline, histogram_errors
from training.evaluation.part import Part
from training.evaluation.scores import Judged, by_bracket, confusion_table, judge, summary
from training.evaluation.shares import CROWDS, compare_methods
from training.evaluation.small import FACE_SIZES, shrink
from training.evaluation.truth import own_brackets
from training.predict import run_calibrated

MOST_VALUES = 20
"""A trait with more different values does not group people and gets no figures."""

DECIMALS = 4

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """How to evaluate.

    brackets: to count in; None takes the data's own groups, or the default ones where the labels are years.
    seed: of the bootstrap and of the crowds. face_sizes: px to which faces are degraded as well.
    share_crowds: crowds on which the ways to estimate an age mix are compared.
    """

    brackets: Sequence[Bracket] | None = None
    seed: int = 0
    face_sizes: Sequence[int] = FACE_SIZES
    share_crowds: int = CROWDS


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A bundle on a part of a data set: each face as judged, and the figures as they go into the JSON."""

    bundle: Bundle
    part: Part
    brackets: tuple[Bracket, ...]
    judged: Judged
    figures: Figures


def evaluate(
    bundle: Bundle, part: Part, options: Options | None = None, progress: Progress = silent
) -> Evaluation:
    """Run `bundle` on the faces of `part` and compare its estimates with the labels.

    Raises ConfigurationError where the data's groups fit no set of brackets.
    """
    options = options or Options()
    brackets = chosen_brackets(part, options)
    found = run_calibrated(bundle, reporting(f"{bundle.name}: full size", part, progress))
    judged = judge(found.probs, part.truth, brackets)
    figures = {
        **all_figures(judged, brackets, options.seed),
        "shares": share_errors(bundle, judged, brackets, options),
        "by_trait": by_trait(judged, part.traits, options.seed),
        "by_face_size": {
            "full": _brief(judged),
            **{
                str(face): _brief(_judge_small(bundle, part, brackets, face, progress))
                for face in options.face_sizes
            },
        },
        "milliseconds_per_face": found.milliseconds,
    }
    return Evaluation(bundle, part, brackets, judged, rounded(figures))


def chosen_brackets(part: Part, options: Options) -> tuple[Bracket, ...]:
    """The brackets that `part` is judged in."""
    if options.brackets:
        return tuple(options.brackets)
    return own_brackets(part.truth, parse_brackets(DEFAULT_BRACKETS))


def all_figures(judged: Judged, brackets: Sequence[Bracket], seed: int) -> Figures:
    """All figures that need no more than the judged faces."""
    bins = reliability(judged)
    crowds = histogram_errors(judged, len(brackets), seed)
    return {
        **summary(judged),
        "ece": calibration_error(bins),
        "histogram_tv": headline(crowds),
        "intervals": intervals(judged, seed),
        "by_bracket": by_bracket(judged, brackets),
        "confusion": {
            "brackets": [bracket.label for bracket in brackets],
            "counts": confusion_table(judged, len(brackets)).tolist(),
        },
        "reliability": [asdict(b) for b in bins],
        "histogram": crowds,
    }


def share_errors(bundle: Bundle, judged: Judged, brackets: Sequence[Bracket], options: Options) -> Figures:
    """How right the shares of crowds are, as counted and corrected, by kind of crowd (`shares.Mix`)."""
    if not options.share_crowds:
        return {}
    calibration = Calibration.of([bracket.label for bracket in brackets], load_confusion(bundle))
    found = compare_methods(judged, brackets, calibration, options.seed, options.share_crowds)
    return {kind: asdict(mix) for kind, mix in found.items()}


def by_trait(judged: Judged, traits: Mapping[str, NDArray[np.str_]], seed: int) -> Figures:
    """Figures with intervals for each value of each trait, and for each pair of values of two traits.

    Faces without a value for a trait are left out of its figures.
    """
    known = {name: values for name, values in traits.items() if _groups(values)}
    names = list(known)
    found = {name: _by_value(judged, known[name], seed) for name in names}
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            both = np.where(
                (known[first] != "") & (known[second] != ""),
                np.char.add(np.char.add(known[first], " / "), known[second]),
                "",
            )
            found[f"{first} / {second}"] = _by_value(judged, both, seed)
    return found


def rounded(figures: Any) -> Any:  # noqa: ANN401 (anything JSON can hold)
    """The same figures with every fraction rounded to `DECIMALS`."""
    if isinstance(figures, float):
        return round(figures, DECIMALS)
    if isinstance(figures, Mapping):
        return {name: rounded(value) for name, value in figures.items()}
    if isinstance(figures, list | tuple):
        return [rounded(value) for value in figures]
    return figures


def reporting(step: str, part: Part, progress: Progress) -> Iterator[Image]:
    """The crops of a part one by one; reports each to `progress`."""
    for done, crop in enumerate(part.crops, start=1):
        yield crop
        progress(step, done, len(part))


def _judge_small(
    bundle: Bundle, part: Part, brackets: Sequence[Bracket], face: int, progress: Progress
) -> Judged:
    crops = (
        shrink(crop, face, part.scale)
        for crop in reporting(f"{bundle.name}: faces of {face} px", part, progress)
    )
    return judge(run_calibrated(bundle, crops).probs, part.truth, brackets)


def _brief(judged: Judged) -> Figures:
    """The figures that a row of a table holds."""
    kept = ("n", "mae", "bias", "cs5", "accuracy", "within_one")
    figures = summary(judged)
    return {name: figures[name] for name in kept}


def _groups(values: NDArray[np.str_]) -> list[str]:
    """The different values of a trait that groups people; none where it does not."""
    found = sorted(set(values.tolist()) - {""})
    return found if 2 <= len(found) <= MOST_VALUES else []


def _by_value(judged: Judged, values: NDArray[np.str_], seed: int) -> Figures:
    groups = {value: judged.select(values == value) for value in sorted(set(values.tolist()) - {""})}
    return {value: {**_brief(own), "intervals": intervals(own, seed)} for value, own in groups.items()}
