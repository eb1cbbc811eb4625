"""`python -m bench.profiled FILE --role ROLE`: runs a normal worker, and writes its hotspots to a file at the end."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from bench.profiling import hotspots, profiled
from worker.process import main

if __name__ == "__main__":
    with profiled() as profiles:
        code = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps([asdict(spot) for spot in hotspots(profiles)]))
    raise SystemExit(code)
