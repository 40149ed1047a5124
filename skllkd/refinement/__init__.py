"""Refinement of a teacher's labels by further evidence, before a student learns them."""

from skllkd.refinement.another_teacher import AnotherTeacher
from skllkd.refinement.base import Evidence, EvidenceContext
from skllkd.refinement.class_names import ClassNames
from skllkd.refinement.out_of_fold import OutOfFold
from skllkd.refinement.refinement import Refinement
from skllkd.refinement.rules import Rules

__all__ = [
    "AnotherTeacher",
    "ClassNames",
    "Evidence",
    "EvidenceContext",
    "OutOfFold",
    "Refinement",
    "Rules",
]
