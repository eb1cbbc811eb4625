"""The type of web addresses in settings."""

from typing import Annotated

from pydantic import StringConstraints

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
