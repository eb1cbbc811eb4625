"""What settings take for an address of the web."""

from typing import Annotated

from pydantic import StringConstraints

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
