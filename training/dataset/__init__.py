"""Labelled faces: read, checked, split and cut into crops."""

from __future__ import annotations

from training.dataset.catalogue import Catalogue, Fault, FaultKind, Labelled
from training.dataset.prepare import Prepared, cut, prepare
from training.dataset.readers import Reader, find_reader
from training.dataset.survey import Survey, survey

__all__ = [
    "Catalogue",
    "Fault",
    "FaultKind",
    "Labelled",
    "Prepared",
    "Reader",
    "Survey",
    "cut",
    "find_reader",
    "prepare",
    "survey",
]
