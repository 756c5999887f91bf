"""The mutations' table names texts and tests that are there; ``make mutations`` runs it, which takes minutes."""

import pytest

from microservices.tests.drills.test_mutations import MUTATIONS
from microservices.tests.running import PROJECT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_has_its_text_and_its_test(mutation):
    platform = PROJECT / "microservices"

    assert mutation.old in (platform / mutation.file).read_text()
    assert (platform / "tests" / mutation.test_file).exists()
