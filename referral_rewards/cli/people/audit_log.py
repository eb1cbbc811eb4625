"""`referrals log`: who did what, and what moved money."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.output import AsCsv, Column, Form, Limit
from referral_rewards.domain.labels.vocabularies import VOCABULARIES
from referral_rewards.domain.money import display

_COLUMNS: Final = (
    Column("when", lambda each: each["at"]),
    Column("person", lambda each: each["actor"]),
    Column("what", lambda each: each["act"], vocabulary="audit"),
    Column("to what", lambda each: each["subject"]),
    Column("amount", lambda each: _amount(each), spare=1),
    Column("details", lambda each: "\n".join(f"{name}: {value}" for name, value in each["details"].items()), spare=2),
)


def log(
    person: Annotated[str | None, typer.Option("--person", metavar="USER", help="What this user did.")] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="WORDS", help="What happened, as the log says it: `payout settled`, `payouts`."),
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="To whom or what: a user, payee, referral or payout.")
    ] = None,
    sign_ins: Annotated[bool, typer.Option("--sign-ins", help="Signing in and out too.")] = False,
    since: Since = None,
    until: Until = None,
    sort: Order = None,
    totals: Summed = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    user: As = None,
    data: Data = None,
) -> None:
    """List who did what and what moved money, the newest first by default; sign-ins only where they are asked for."""
    wanted = {
        "actor": person,
        "act": None if kind is None else _CODES.get(kind.strip().casefold(), kind),
        "subject": subject,
        "sign_ins": sign_ins,
    }
    options = {"actor": "--person", "act": "--kind"}
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        chosen = Chosen(since, until, sort, totals)
        write_chosen(api, "/v1/audit", "events", _COLUMNS, form, chosen, wanted, options)


#: The codes of the log by the words that people read there.
_CODES: Final = {
    said.casefold(): code for vocabulary in ("audit_group", "audit") for code, said in VOCABULARIES[vocabulary].items()
}


def _amount(each: Mapping[str, Any]) -> str | None:
    return None if each["amount_minor"] is None else display(each["amount_minor"], each["currency"])
