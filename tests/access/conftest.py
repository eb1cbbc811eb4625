"""What all tests of access share."""

import pytest


@pytest.fixture(autouse=True)
def _quick_passwords(quick_passwords: None) -> None:
    """Nobody here measures how long a password resists."""
