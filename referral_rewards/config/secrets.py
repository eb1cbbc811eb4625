"""Secrets that two values of may count at once, while the one takes the other's place."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr


def _one_or_more(given: Any) -> Any:
    return (given,) if isinstance(given, str | SecretStr) else given


#: One secret, or a list with the newest first.
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_one_or_more), Field(min_length=1)]


def values(secrets: Sequence[SecretStr]) -> tuple[str, ...]:
    """Return the secrets themselves."""
    return tuple(each.get_secret_value() for each in secrets)
