"""What every shape has in common: the API declares it, the desk reads its members, and programs get it as JSON."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """Something as it is shown. A later version may add members to it, and renames none.

    Its constructor checks each member: what the database holds and no shape foresees is a bug, and raises.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    def as_json(self) -> dict[str, Any]:
        """The same as programs get it. What was left to its default is left out."""
        return self.model_dump(mode="json", exclude_unset=True)


def _in_utc(moment: datetime) -> datetime:
    # The database may hand it over in the zone of its session.
    return moment.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_in_utc), Field(examples=["2026-07-24T14:00:00Z"])]
"""An instant, in UTC."""
GivenId = Annotated[str, Field(examples=["db1"])]
"""An id that the company gave, such as a referral's."""
