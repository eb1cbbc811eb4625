"""`referrals queue`: what waits for a person."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, people_needed, say
from referral_rewards.cli.credentials import As
from referral_rewards.cli.listing import Chosen, Since, Summed, Until, write_chosen
from referral_rewards.cli.output import AsCsv, Column, Form, Limit, order_of
from referral_rewards.config.credentials import Purpose
from referral_rewards.domain.decisions.waiting import Sort, Waits
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.instants import age as age_of
from referral_rewards.domain.labels.vocabularies import label, labels
from referral_rewards.domain.money import display

Program = Annotated[str, typer.Option("--program", metavar="NAME", help="Of this program.")]
Route = Annotated[str, typer.Option("--route", metavar="ROLE", help="That need this role's approval.")]
FlagOption = Annotated[str, typer.Option("--flag", metavar="FLAG", help="That carry this flag; `none`: no flag.")]
Exception_ = Annotated[str, typer.Option("--exception", metavar="KIND", help=f"Why it waits: {', '.join(Waits)}.")]
Advice = Annotated[str, typer.Option("--recommendation", metavar="ADVICE", help="The recommendation of the rules.")]
Days = Annotated[str, typer.Option("--older-than-days", metavar="N", help="Waiting for so many days.")]
Overdue = Annotated[bool, typer.Option("--overdue", help="Only what has waited for longer than the terms allow.")]
Mine = Annotated[
    str | None, typer.Option("--for", metavar="USER", help="Only what this user can decide and has not signed.")
]
CurrencyOption = Annotated[str, typer.Option("--currency", metavar="CODE", help="With amounts in this currency.")]
Least = Annotated[str, typer.Option("--amount-min", metavar="AMOUNT", help="With rewards of at least this total.")]
Most = Annotated[str, typer.Option("--amount-max", metavar="AMOUNT", help="With rewards of at most this total.")]
Text = Annotated[
    str, typer.Option("--search", metavar="TEXT", help="How a referral, referrer, customer or order begins.")
]
Order = Annotated[str, typer.Option("--sort", metavar="ORDER", help=f"{', '.join(Sort)}.")]


def queue_(
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    limit: Limit = None,
    program: Program = "",
    route: Route = "",
    flag: FlagOption = "",
    exception: Exception_ = "",
    recommendation: Advice = "",
    older_than_days: Days = "",
    overdue: Overdue = False,
    mine: Mine = None,
    currency: CurrencyOption = "",
    amount_min: Least = "",
    amount_max: Most = "",
    search: Text = "",
    sort: Order = Sort.OLDEST.value,
    since: Since = None,
    until: Until = None,
    totals: Summed = False,
    user: As = None,
    data: Data = None,
) -> None:
    """List what waits for a person, oldest first: claims, late facts, clawback cases, payouts, cycles, halted rails."""
    form = Form(as_json, as_csv, limit)
    asked = {
        "program": program,
        "route": route,
        "flag": flag,
        "exception": exception,
        "recommendation": recommendation,
        "older_than_days": older_than_days,
        "overdue": "true" if overdue else "",
        "for": mine or "",
        "currency": currency,
        "amount_min": amount_min,
        "amount_max": amount_max,
        "q": search,
    }
    with api_of(data, user) as api:
        given = {name: value for name, value in asked.items() if value}
        chosen, columns = Chosen(since, until, sort, totals), _columns(datetime.now(UTC))
        write_chosen(api, "/v1/claims", "claims", columns, form, chosen, given, _OPTIONS)


def set_aside(
    exception: Annotated[Waits, typer.Argument(metavar="KIND", help="Why it waits: parked, unlinked_claim, …")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The referral, or what `queue` shows in its place.")],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why nothing is to be done about it.")],
    subject: Annotated[
        str, typer.Option("--subject", metavar="ID", help="Of several reports on one referral, the fact.")
    ] = "",
    user: As = None,
    data: Data = None,
) -> None:
    """Set aside, with a note, what waits in the queue and no decision ends. More that is told of it brings it back."""
    with api_of(data, user, Purpose.DECIDE) as api:
        found = [
            each
            for each in api.all("/v1/claims", "claims", _OPTIONS, limit=_PAGE, exception=exception)
            if name in (each["referral"], None if each["referral"] else each["subject"])
            and subject in ("", each["subject"])
        ]
        if len(found) != 1:
            raise RequestInvalid(_WHICH[bool(found)].format(exception=exception, name=name), "NAME")
        (entry,) = found
        key = {part: entry[part] for part in ("exception", "referral", "subject", "seen")}
        if entry["seen"] is None:
            raise RequestInvalid("a decision ends it; it can't be set aside", "KIND")
        api.post("/v1/queue/set-aside", {**key, "note": note}, {"note": "--note"})
    say(f"{label('waits', exception)} {name}: set aside")


_PAGE: Final = 500
_WHICH: Final = {
    False: "nothing of the kind {exception} waits under {name}; `referrals queue` lists what waits",
    True: "several of the kind {exception} wait under {name}; name one with --subject, as `queue --json` shows them",
}


def _columns(now: datetime) -> tuple[Column, ...]:
    return (
        Column("referral", lambda each: each["referral"] or f"{_OF_NO_REFERRAL[each['exception']]} {each['subject']}"),
        Column("referrer", lambda each: each["referrer"], spare=3),
        Column("referred customer", lambda each: each["referred_customer"], spare=4),
        Column("eligibility", _eligibility),
        Column("conversion event", lambda each: _conversion(each["conversion"]), spare=5),
        Column("reward amount", lambda each: "\n".join(map(_leg, each["reward"]))),
        Column("approval", lambda each: _approval(each, now), spare=1),
        Column("payment status", _payment, spare=2),
    )


def _leg(leg: dict[str, Any]) -> str:
    return f"{display(leg['amount_minor'], leg['currency'])} {label('side', leg['role'])}"


_FILTERS: Final = (
    *("program", "route", "flag", "exception", "recommendation", "older_than_days", "overdue", "for"),
    *("currency", "amount_min", "amount_max", "sort"),
)
#: What an entry is about that belongs to no referral.
_OF_NO_REFERRAL: Final = {
    Waits.CYCLE: "cycle",
    Waits.RAIL_HALTED: "rail",
    Waits.RAIL_SHUT: "rail",
    Waits.FORGOTTEN_PAYMENT: "payment",
    Waits.PARKED: "program",
    Waits.UNLINKED_ORDER: "code",
    Waits.UNREAD_EVENT: "source",
}
#: What the API's filters are called here.
_OPTIONS: Final = {**{name: f"--{name.replace('_', '-')}" for name in _FILTERS}, "q": "--search"}


def _eligibility(entry: dict[str, Any]) -> str:
    eligibility = entry["eligibility"]
    advice, reason = eligibility["recommendation"], eligibility["reason"]
    said = [label("recommendation", advice) if advice else label("reason", reason) if reason else ""]
    said += labels("flag", eligibility["flags"])
    if entry["exception"] != "approval":
        about = entry["about"] or label("status", entry["status"])
        said.insert(0, f"{label('waits', entry['exception'])}: {about}")
        said += [entry["to_do"]]
    return "\n".join(filter(None, said))


def _conversion(conversion: dict[str, Any] | None) -> str:
    if conversion is None:
        return ""
    net = display(conversion["net_minor"], conversion["currency"])
    return f"{order_of(conversion)} {net}\n{conversion['occurred_at']}"


def _approval(entry: dict[str, Any], now: datetime) -> str:
    approval = entry["approval"]
    age = now - datetime.fromisoformat(entry["since"]) if entry["since"] else None
    lines = [f"{'on hold' if entry['status'] == 'on_hold' else 'waiting'} {age_of(age)}" if age else ""]
    if entry["overdue"]:
        lines.append("overdue, escalated" if entry["escalated"] else "overdue")
    if entry["exception"] == "approval":
        lines.append(f"needs {people_needed(approval['needs'], approval['people'])}")
        lines += [f"{label('decided', each['kind'])} by {each['user']}" for each in approval["signed"]]
    return "\n".join(filter(None, lines))


def _payment(entry: dict[str, Any]) -> str:
    payouts = ((label("payout_state", each["state"]), each["why"]) for each in entry["payment"])
    return "\n".join(": ".join(filter(None, each)) for each in payouts) or "nothing sent"
