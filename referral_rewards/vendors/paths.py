"""Paths into a vendor's objects, as a company writes them in its configuration: JMESPath."""

from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled JMESPath, as ``metadata.order_id || id``."""

    expression: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile it.

        Raises:
            ValueError: says what is wrong with the expression, in one line.
        """
        try:
            object.__setattr__(self, "_compiled", jmespath.compile(self.expression))
        except JMESPathError as error:
            why = str(error).partition("\n")[0].rstrip(":")
            raise ValueError(f"{self.expression!r} is no JMESPath: {why}") from None

    def find(self, within: Any) -> Any:
        """Return what stands there, or None.

        Raises:
            ValueError: if a function of the path can't be applied to what stands there.
        """
        try:
            return self._compiled.search(within)
        except (JMESPathError, TypeError, ArithmeticError, AttributeError):
            raise ValueError(f"the path {self.expression!r} can't be applied here") from None
