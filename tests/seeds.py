"""How much of what is random belongs to the suite: as much as there is time for. `make chaos` goes on from there."""

import pytest


def seeds(suite: int, *, of: int) -> list[object]:
    """So many seeds in the suite, of all that there are."""
    return [pytest.param(seed, marks=[pytest.mark.chaos] if seed >= suite else []) for seed in range(of)]
