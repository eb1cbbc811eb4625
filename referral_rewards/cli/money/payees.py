"""`referrals payee`: how payees are paid, their tax forms, and what they were paid, are owed or wait for."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say_json, table, tables, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Order, Since, Summed, Until, write_chosen
from referral_rewards.cli.output import AsCsv, Column, Form, Limit
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display
from referral_rewards.domain.payees.in_clear import CHOSEN

if TYPE_CHECKING:
    from rich.console import Console

_PAID: Final = (
    "by_kind",
    "by_rail",
    "total_minor",
    "reportable",
    "why",
    "withheld_minor",
    "clawed_back_minor",
    "regime",
)
_WAITING: Final = (
    *("state", "referral", "program", "role", "kind", "amount_minor"),
    *("rail", "approved_at", "wake_at"),
)

commands = typer.Typer(help="Payees: methods, tax forms, totals, and what waits.", no_args_is_help=True)


_COLUMNS: Final = (
    Column("payee", lambda each: each["payee"]),
    Column("waits for a form", lambda each: _amounts(each["held_minor"])),
    Column("owed", lambda each: _amounts(each["owed_minor"])),
    Column("paid", lambda each: _amounts(each["paid_minor"])),
    Column("tax form", lambda each: _forms(each["forms"]), spare=1),
)


@commands.command("list")
def list_(
    held: Annotated[bool, typer.Option("--held", help="Only those with a reward that waits for a tax form.")] = False,
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
    """List payees: what each is owed, waits for and was paid, and what the tax form on file is worth.

    With days, list those whose rewards were approved then, and the amounts of these rewards."""
    form = Form(as_json, as_csv, limit)
    with api_of(data, user) as api:
        chosen = Chosen(since, until, sort, totals)
        write_chosen(api, "/v1/payees", "payees", _COLUMNS, form, chosen, {"held": held})


@commands.command()
def show(
    payee: Annotated[str, typer.Argument(metavar="PAYEE")],
    year: Annotated[
        int | None, typer.Option("--year", min=1970, max=2999, help="Of the totals; the present one if none is named.")
    ] = None,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Show one payee: methods, tax forms, what counts in the year, and what waits, is owed or was paid."""
    with api_of(data, user) as api:
        shown = api.get(f"/v1/payees/{quote(payee, safe='')}", year=year, options={"year": "--year"})
    if as_json:
        say_json(shown)
        return
    out, of = tables(), shown["year"]
    out.print(f"[bold]{shown['payee']}[/bold]  {of}")
    for each in shown["tax"]:
        _standing(out, each)
    _table(out, "methods", shown["methods"], "rail", "reference", "since")
    _table(out, "tax forms", shown["forms"], "form", "filed_at", "valid_from", "withholding_percent")
    paid = [
        {
            **each,
            "by_kind": _split(each, "kind"),
            "by_rail": _split(each, "rail"),
            "why": label("tax_grounds", each["grounds"]),
        }
        for each in shown["paid_in_year"]
    ]
    _table(out, f"paid in {of}", paid, *_PAID)
    _table(out, f"paid in {of} by program", shown["paid_by_program"], "program", "amount_minor")
    _table(out, "rewards", shown["rewards"], "state", "legs", "amount_minor")
    _table(out, "waiting", shown["waiting"], *_WAITING)
    _table(out, "in the books", shown["balances"], "account", "amount_minor")


@commands.command()
def statement(
    payee: Annotated[str, typer.Argument(metavar="PAYEE")],
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day, in UTC.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The day after the last one.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Show a payee's statement: opening balance, what was earned, paid and taken back, and closing balance."""
    Form(as_json, as_csv)
    path, options = f"/v1/payees/{quote(payee, safe='')}/statement", {"from": "--from", "to": "--to"}
    asked: dict[str, Any] = {"from_": since, "to": until}
    with api_of(data, user) as api:
        if as_csv:
            with api.stream("GET", path, options=options, format="csv", **asked) as sent:
                for block in sent.iter_text():
                    sys.stdout.write(block)
            return
        shown = api.get(path, options, **asked)
    if as_json:
        say_json(shown)
        return
    out = tables()
    for each in shown["currencies"]:
        events = [
            {**each["opening"], "event": "opening_balance", "at": shown["since"]},
            *each["events"],
            {**each["closing"], "event": "closing_balance", "at": shown["until"]},
        ]
        _table(out, each["currency"], [_event(event, each["currency"]) for event in events], *_EVENT)
    if not shown["currencies"]:
        tell("nothing was earned, paid or taken back until the end of this period")
    if any(each["more"] for each in shown["currencies"]):
        tell("there are more events than are shown; --csv has all of them")


_EVENT: Final = ("at", "event", "referrals", "program", "owed_minor", "owing_minor", "balance_minor")


def _event(each: Mapping[str, Any], currency: str) -> dict[str, Any]:
    referrals = ", ".join(each.get("referrals", ()))
    event = label("statement", each["event"])
    return {"program": None, **each, "currency": currency, "referrals": referrals, "event": event}


@commands.command()
def look(
    payee: Annotated[str, typer.Argument(metavar="PAYEE")],
    why: Annotated[str, typer.Option("--why", metavar="CODE", help=f"Why: {', '.join(CHOSEN)}.")],
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Look at a payee's names and destinations in clear, for finance. The look is on record in the audit log."""
    with api_of(data, user, Purpose.DECIDE) as api:
        seen = api.post("/v1/looks", {"payee": payee, "why": why}, {"why": "--why"})
    if as_json:
        say_json(seen)
        return
    out = tables()
    names = [{**each, "name": each["name"] or _ERASED} for each in seen["names"]]
    _table(out, "names", names, "name", "told_at", "source")
    _table(out, "destinations", list(map(_destination, seen["destinations"])), *_DESTINATION)


_ERASED: Final = "erased"
_DESTINATION: Final = ("rail", "on_record", "in_clear", "name", "set_at", "source", "present")


def _destination(each: Mapping[str, Any]) -> dict[str, Any]:
    return {**each, "in_clear": each["in_clear"] or (_ERASED if each["erased"] else "none told")}


def _standing(out: "Console", each: Mapping[str, Any]) -> None:
    counts = display(each["counts_minor"], each["currency"])
    limit = display(each["threshold_minor"], each["currency"])
    form = (
        f"{each['form']}, {label('form_standing', each['standing'])}"
        if each["form"]
        else label("form_standing", each["standing"])
    )
    until = f", no longer valid from {each['until']}" if each["until"] else ""
    withheld = f", {each['withholding_percent']} % withheld" if each["withholding_percent"] != "0" else ""
    needs = "; a form is needed" if each["needs_form"] else ""
    if needs and each["counts_minor"] < each["threshold_minor"]:
        needs += ", since what was paid in another currency can't be compared with that"
    out.print(f"tax {each['regime']}: form {form}{until}{withheld}; {counts} of {limit} count{needs}", markup=False)


def _table(out: "Console", title: str, rows: list[dict[str, Any]], *names: str) -> None:
    if not rows:
        return
    listed = table(*(_words(name.removesuffix("_minor")) for name in names), title=title, title_justify="left")
    for each in rows:
        listed.add_row(*(_cell(each, name) for name in names))
    out.print(listed, markup=False)


def _cell(each: Mapping[str, Any], name: str) -> str:
    value = each[name]
    if name.endswith("_minor"):
        return display(value, each["currency"])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else label("leg_state", value) if name == "state" else str(value)


def _split(each: Mapping[str, Any], by: str) -> str:
    """Return the amounts that an amount is made of, by kind of reward or by rail."""
    parts = each[f"by_{by}"].items()
    return ", ".join(f"{label(by, name)} {display(minor, each['currency'])}" for name, minor in parts)


def _amounts(by_currency: Mapping[str, int]) -> str:
    return ", ".join(display(minor, currency) for currency, minor in by_currency.items())


def _forms(forms: dict[str, str]) -> str:
    return ", ".join(f"{label('regime', of)}: {label('form_standing', standing)}" for of, standing in forms.items())


def _words(code: str) -> str:
    return code.replace("_", " ")
