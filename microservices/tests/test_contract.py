"""Schemathesis asks the gateway by the document: no crash, and no answer that is not in it."""

import pytest

from microservices.tests.fuzzing import fuzz

pytestmark = pytest.mark.slow


def test_schemathesis_finds_no_crash_and_no_answer_outside_the_document(tmp_path):
    """A few hundred cases; ``python -m microservices.tests.fuzzing`` asks thousands."""
    status, cases, output = fuzz(10, tmp_path)

    assert status == 0, output[-20_000:]
    assert cases >= 300
