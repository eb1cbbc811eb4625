"""The base of all output shapes: the API declares them, the desk reads their members, and clients get them as JSON."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """An output shape. Later versions may add members, but never rename them.

    The constructor validates each member: a value from the database that does not fit is a bug and raises.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    def as_json(self) -> dict[str, Any]:
        """Return the shape as JSON values, without members left at their default."""
        return self.model_dump(mode="json", exclude_unset=True)


def _in_utc(moment: datetime) -> datetime:
    # The database may return it in the time zone of its session.
    return moment.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc), Field(examples=["2026-07-24T14:00:00Z"])]
"""An instant, in UTC."""
GivenId = Annotated[str, Field(examples=["db1"])]
"""An id that the company assigned, such as a referral's."""
