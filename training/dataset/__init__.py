"""Labelled faces: read, checked, split and cut into crops."""

from __future__ import annotations

from training.dataset.catalogue import Catalogue, Fault, FaultKind, Labelled
from training.dataset.join import Surveys, cut_all, prepare, survey_all
from training.dataset.prepare import Prepared, cut
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
    "Surveys",
    "cut",
    "cut_all",
    "find_reader",
    "prepare",
    "survey",
    "survey_all",
]
