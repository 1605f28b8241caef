"""The data that a bundle was trained on, as it records them, and how the same data are recognised later.

A model judged by its own training pictures looks better than it is. A manifest cannot list them all; it keeps
the smallest of their SHA-256 hashes (a bottom-k sketch, Broder 1997): data that share any real part with
the training pictures share some of those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from edge.bundle import Bundle, Manifest, PartTerms
from edge.errors import ConfigurationError
from training import terms

SKETCH = 64
"""Hashes kept: of data that hold a twentieth of the training pictures, 24 in 25 are noticed."""

DIGITS = 16
"""Hexadecimal digits kept of each hash: a chance hit among a million pictures is one in a hundred billion."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The data of a training run.

    source, terms: the data sets and what each may be used for. seed: of its split. pictures: how many are in
    each part. sketch: the smallest hashes of those in `train`, cut to `DIGITS`.
    """

    source: str
    terms: tuple[PartTerms, ...]
    seed: int
    pictures: Mapping[str, int] = field(default_factory=dict)
    sketch: tuple[str, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle) -> Self | None:
        """What the manifest of a checked bundle says; None where it was not trained by this package."""
        found = _provenance(bundle).get("data")
        return cls.read(found) if isinstance(found, Mapping) else None

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """From what `as_json` wrote, now or in earlier versions; ConfigurationError where it is neither."""
        try:
            told = found["terms"]
            parts = (terms.of_data(found["source"], told),) if isinstance(told, str) else terms.read(told)
            return cls(**{**found, "terms": parts, "sketch": tuple(found["sketch"])})
        except (TypeError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"the data of a training run were written by another version ({error}): train again"
            ) from error

    def as_json(self) -> dict[str, Any]:
        """For the manifest's provenance."""
        return {**asdict(self), "terms": terms.dumped(self.terms)}

    def shares(self, keys: Iterable[str]) -> bool:
        """Whether files of these SHA-256 hashes, in hexadecimal, hold some that were trained on."""
        return not set(self.sketch).isdisjoint(key[:DIGITS] for key in keys)


def came_from_backbone(bundle: Bundle) -> bool:
    """Whether the weights of a bundle go back to the published backbone, whose licences then hold too."""
    found = _provenance(bundle)
    return "backbone" in found or from_backbone(found.get("run", {}).get("start", {}))


def made_with(bundle: Bundle) -> str:
    """The command that made a checked bundle, as its manifest records it; empty where it does not."""
    return str(_provenance(bundle).get("made_with", ""))


def splits_of(bundle: Bundle) -> frozenset[str]:
    """`Prepared.splits` and `Prepared.split_hash` of the data of a checked bundle; empty if not stated."""
    found = _provenance(bundle).get("run", {})
    return frozenset(str(split) for split in (*found.get("splits", ()), found.get("split")) if split)


def from_backbone(start: Mapping[str, Any]) -> bool:
    """Whether the weights that a run started from go back to the published backbone."""
    if "parts" in start:
        return any(from_backbone(part["start"]) for part in start["parts"])
    if "run" in start:
        return from_backbone(start["run"]["start"])
    return "backbone" in start or bool(start.get("bundle", {}).get("backbone"))


def _provenance(bundle: Bundle) -> dict[str, Any]:
    content = (bundle.folder / "manifest.json").read_bytes()
    return Manifest.model_validate_json(content).provenance


def sketch(keys: Iterable[str]) -> tuple[str, ...]:
    """The sketch of files of these SHA-256 hashes, in hexadecimal."""
    return tuple(key[:DIGITS] for key in sorted(keys)[:SKETCH])
