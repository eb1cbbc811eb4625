"""Loads the demo's steps and expected results from `examples/demo`. They are written by hand, never generated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter

from referral_rewards.domain.claims.findings import Flag, Recommendation
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.programs.terms import load_terms
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.local.demo.sales import Sales

ROOT = Path(__file__).parents[3]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FactName(_Strict):
    """The identity of a fact."""

    source: str
    id: str


Leg = tuple[Literal["referrer", "referee"], str, str]
"""Role, kind, and the amount as a decimal string."""


class Expectation(_Strict):
    """The expected result of one referral. The head of `expectations.yaml` explains each field."""

    status: ReferralStatus
    reason: str | None = None
    order: str | None = None
    net: str | None = None
    currency: str | None = None
    legs: tuple[Leg, ...] = ()
    flags: Annotated[tuple[Flag, ...], AfterValidator(lambda flags: tuple(sorted(flags)))] | None = None
    recommends: Recommendation | None = None
    decision: Literal["approve", "deny", "hold", "none"]
    decided_after: str | None = None
    after: ReferralStatus
    reason_after: str | None = None
    exception: str | None = None
    over: tuple[str, ...] = ()
    passes: tuple[ReferralStatus, ...] | None = None
    found_by: FactName | None = None
    referred_by: str | None = None
    why: str

    def says(self, field: str) -> bool:
        """Whether the expectation sets the field. An omitted field is not always expected to be absent."""
        return field in self.model_fields_set


class Step(_Strict):
    """One step of the live part: seconds after its start, with the fact to send or the referral to decide."""

    at: float
    event: dict[str, Any] | None = None
    occurred: float | None = None
    decide: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The whole demo. ``currencies`` holds the currency of each program by name."""

    programs: Sequence[str]
    currencies: Mapping[str, str]
    past_file: Path
    past: Mapping[str, Expectation]
    live: Mapping[str, Expectation]
    sold: Mapping[str, Expectation]
    door: Mapping[str, Expectation]
    steps: Sequence[Step]
    sales: Sales

    @property
    def everybody(self) -> Mapping[str, Expectation]:
        """Every expectation by its name."""
        return {**self.past, **self.sold, **self.live, **self.door}

    @classmethod
    def load(cls, root: Path = ROOT) -> "Script":
        """Load the script below the repository's root.

        Raises:
            BadInput: if it does not exist. An installed wheel has neither programs nor examples.
        """
        folder = root / "examples" / "demo"
        if not folder.is_dir():
            raise BadInput([Problem(str(folder), "is not there; the demo runs from the source repository")])
        sources = [
            (root / "programs" / f"{name}.yaml").read_text()
            for name in (
                "acme-friends",
                "acme-today",
                *sorted(path.stem for path in (root / "programs").glob("demo-*.yaml")),
            )
        ]
        expected = yaml.safe_load((folder / "expectations.yaml").read_text())
        expectations = TypeAdapter(dict[str, Expectation])
        return cls(
            programs=sources,
            currencies={terms.program: terms.currency for terms in map(load_terms, sources)},
            past_file=folder / "past.jsonl",
            past=expectations.validate_python(expected["past"]),
            live=expectations.validate_python(expected["live"]),
            sold=expectations.validate_python(expected["sold"]),
            door=expectations.validate_python(expected["door"]),
            sales=Sales.load(folder / "sales.yaml"),
            steps=TypeAdapter(list[Step]).validate_python(yaml.safe_load((folder / "live.yaml").read_text())["steps"]),
        )
