"""How long a test waits for what must come. No measure: a busy machine is slow, and only what hangs is a finding."""

from typing import Final

PATIENCE_SECONDS: Final = 240.0
