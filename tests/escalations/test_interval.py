"""The intervals stand against tables that others have printed."""

import pytest

from escalations.interval import clopper_pearson

# (hits, of, level, low, high, to how many places it was printed)
PRINTED = [
    # the manual of R, binom.test, after W. J. Conover, Practical Nonparametric Statistics (1971), p. 97: Mendel's peas
    (682, 925, 0.95, 0.7076683, 0.7654066, 7),
    # Documenta Geigy, Scientific Tables: exact limits of a proportion, at 95 %, in per cent
    (0, 10, 0.95, 0.0, 0.3085, 4),
    (1, 10, 0.95, 0.0025, 0.4450, 4),
    (5, 10, 0.95, 0.1871, 0.8129, 4),
    (10, 10, 0.95, 0.6915, 1.0, 4),
    (3, 20, 0.95, 0.0321, 0.3789, 4),
    (10, 100, 0.95, 0.0490, 0.1762, 4),
    (0, 100, 0.95, 0.0, 0.0362, 4),
]


@pytest.mark.parametrize(("hits", "of", "level", "low", "high", "places"), PRINTED)
def test_an_interval_is_as_it_is_printed(hits, of, level, low, high, places):
    found = clopper_pearson(hits, of, level)

    assert (round(found[0], places), round(found[1], places)) == (low, high)


def test_of_nothing_nothing_is_known():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "of"), [(3, 2), (-1, 2), (1, 0)])
def test_more_hits_than_there_were_are_refused(hits, of):
    with pytest.raises(ValueError, match="of"):
        clopper_pearson(hits, of)
