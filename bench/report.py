"""The results of the measurements, as JSON to compare and as a table to read."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from bench.profiling import Hotspot


@dataclass(frozen=True)
class Measurement:
    """Ours compared with a bare baseline, in one run. The ratio counts; the figures depend on the machine.

    ``parts`` breaks down our cost, ``variants`` holds the ratio to other baselines, and ``profile`` is set if the goal
    was missed.
    """

    name: str
    unit: str
    size: int
    ours: float
    bare: float
    ratio: float
    goal: float
    best: Literal["low", "high"]
    note: str
    parts: Mapping[str, float] = field(default_factory=dict)
    bare_parts: Mapping[str, float] = field(default_factory=dict)
    variants: Mapping[str, float] = field(default_factory=dict)
    profile: Sequence[Hotspot] = ()

    @property
    def met(self) -> bool:
        return reaches(self.ratio, self.goal, self.best)


def reaches(ratio: float, goal: float, best: Literal["low", "high"]) -> bool:
    return ratio <= goal if best == "low" else ratio >= goal


def keep(folder: Path, name: str, at: datetime, measured: Sequence[Measurement]) -> Path:
    """Write the results together with the environment that they depend on, and return the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{at:%Y%m%dT%H%M%SZ}.json"
    document = {
        "at": at.isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()},
        "measurements": [{**asdict(each), "met": each.met} for each in measured],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def show(measured: Sequence[Measurement]) -> None:
    """Print one row per measurement, with the breakdown of the cost below."""
    console = Console()
    table = Table("measured", "size", "ours", "bare", "ratio", "goal", "")
    for each in measured:
        sign = "≤" if each.best == "low" else "≥"
        verdict = "[green]met[/]" if each.met else "[red]missed[/]"
        figures = (f"{each.ours:,.1f}", f"{each.bare:,.1f}", f"{each.ratio:.2f}", f"{sign} {each.goal:g}")
        table.add_row(f"{each.name} ({each.unit})", f"{each.size:,}", *figures, verdict)
    console.print(table)
    for each in measured:
        console.print(f"[bold]{each.name}[/]: {each.note}", highlight=False)
        for title, parts in (("ours", each.parts), ("bare", each.bare_parts), ("ratio against", each.variants)):
            if parts:
                told = ", ".join(f"{name} {value:,.2f}" for name, value in parts.items())
                console.print(f"  {title}: {told}", highlight=False)
        for spot in each.profile:
            console.print(f"  {spot.seconds:8.3f} s {spot.calls:>9,} calls  {spot.where}", highlight=False)
