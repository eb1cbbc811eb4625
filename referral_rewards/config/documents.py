"""The YAML files that settings name."""

from pathlib import Path
from typing import Any

import yaml

from referral_rewards.domain.errors import BadInput, Problem


def document(path: Path) -> Any:
    """Return what a file says.

    Raises:
        BadInput: if it can't be read, or is no YAML: with the line at which it is none.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput([Problem(str(path), f"can't be read: {error.strerror}")]) from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInput([Problem(f"{path}{line}", f"is not YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadInput([Problem(str(path), "is not YAML in UTF-8")]) from None
