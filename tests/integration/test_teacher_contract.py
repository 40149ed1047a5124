"""The contract of teachers, over those that run a language model."""

import pytest
from skllkd.teachers import LlamaCppTeacher

from tests.teacher_contract import CHECKS


@pytest.fixture
def llama_cpp(short_path):
    return LlamaCppTeacher(short_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__[6:])
def test_llama_cpp(llama_cpp, check):
    check(llama_cpp)
