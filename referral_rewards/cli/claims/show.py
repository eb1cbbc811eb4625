"""`referrals show`: everything about one referral, so that every verdict can be followed to its evidence."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, people_needed, say_json, table, tables
from referral_rewards.cli.credentials import As
from referral_rewards.cli.output import order_of
from referral_rewards.cli.payout_life import tell_case, tell_life
from referral_rewards.domain.labels.vocabularies import effect_in_words, label, labels
from referral_rewards.domain.money import display

if TYPE_CHECKING:
    from rich.console import Console


def show(
    referral: Annotated[str, typer.Argument(metavar="REFERRAL")],
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> None:
    """Show one referral: where it stands and why, with the rules, the evidence and the numbers behind it."""
    with api_of(data, user) as api:
        shown: dict[str, Any] = api.get(f"/v1/referrals/{quote(referral, safe='')}")
    if as_json:
        say_json(shown)
        return
    out = tables()
    _head(out, shown)
    _told(out, shown["told"])
    _table(out, "appeals", shown["appeals"], lambda a: (a["at"], a["by"], a["words"] or "erased"), "at", "by", "words")
    if shown["claim"]:
        _claim(out, shown["claim"])
    _table(
        out, "decisions", shown["decisions"], _decision, "decision", "by", "roles", "reason", "note", "when", "effect"
    )
    _table(out, "rewards", shown["legs"], _reward, "for the", "payee", "amount", "state")
    for payout in shown["payouts"]:
        tell_life(out, payout)
    _table(
        out,
        "sources asked",
        shown["inquiries"],
        lambda i: (
            i["asked_at"],
            label("moment", i["moment"]),
            i["source"],
            i["subject"],
            label("answer", i["answer"]),
            i["sentence"],
        ),
        *("asked", "when", "source", "about", "answer", "what it said"),
    )
    for answer in _compared(shown["inquiries"]):
        title = f"{answer['subject']}: our record and {answer['source']}, {answer['asked_at']}"
        _table(out, title, answer["versions"], _version_line, "", "our record", answer["source"], "")
    for case in shown["clawbacks"]:
        tell_case(out, case)
    _table(out, "facts", shown["facts"], _fact, "occurred", "what", "says", "source", "told by", "received", "late")
    _table(
        out,
        "history",
        shown["history"],
        lambda step: (
            step["at"],
            label("status", step["status"]),
            _or_nothing("reason", step["reason"]),
            step["facts_version"],
        ),
        *("at", "status", "reason", "facts"),
    )
    _table(out, "told", shown["communication"], _notice, "planned", "what", "to", "channel", "state", "why")


def _compared(inquiries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers of which both versions are shown: those that did not confirm, and the newest."""
    told = [each for each in inquiries if each["versions"]]
    return [each for each in told if each["answer"] == "contradicted" or each is told[-1]]


def _version_line(line: dict[str, Any]) -> tuple[str, ...]:
    return line["what"], line["ours"], line["theirs"], "differs" if line["differs"] else ""


def _reward(leg: dict[str, Any]) -> tuple[str, ...]:
    """Return a reward that an approval reserved, and what it waits for if no payout pays it yet."""
    amount = display(leg["amount_minor"], leg["currency"])
    return label("side", leg["role"]), leg["beneficiary"], amount, label("leg_state", leg["state"])


def _head(out: "Console", shown: dict[str, Any]) -> None:
    out.print(f"[bold]{shown['referral']}[/bold]  {_status(shown)}  {_or_nothing('reason', shown.get('reason'))}")
    listed = table(show_header=False, box=None)
    for name in ("program", "version", "referrer", "moved_to", "channel", "deadline", "closed_at", "merged_into"):
        if shown.get(name) is not None:
            listed.add_row(label("field", name), _or_nothing(_NAMED.get(name, ""), str(shown[name])))
    if shown["round"] > 1:
        listed.add_row("round", f"{shown['round']} (reopened)")
    if shown["late_facts"]:
        told = "only `referrals reopen` applies them" if shown["closed_at"] else "admitted when it was reopened"
        listed.add_row("late facts", f"{shown['late_facts']}, {told}")
    if shown["judged_version"] != shown["facts_version"]:
        listed.add_row("being judged", f"facts {shown['facts_version']}, judged {shown['judged_version']}")
    for name, value in (shown["periods"] or {}).items():
        if name != "conversions" and value is not None:
            listed.add_row(label("field", name), str(value))
    for each in (shown["periods"] or {}).get("conversions", []):
        gross = display(each["gross_minor"], each["currency"])
        verdict = "counts" if each["counts"] else "does not count"
        net = display(each["net_minor"], each["currency"])
        listed.add_row(
            "conversion",
            f"{order_of(each)} {label('conversion', each['kind'])} {each['occurred_at']}:"
            f" {gross}, net {net}, {verdict}",
        )
    out.print(listed)


#: The vocabularies of what stands in the head.
_NAMED: Final = {"channel": "channel"}


def _status(shown: dict[str, Any]) -> str:
    return label("status", shown["status"]) if shown["status"] else "not judged"


def _or_nothing(vocabulary: str, code: str | None) -> str:
    """A code's label where there is a code and its vocabulary; else the code as it is, or nothing."""
    return (label(vocabulary, code) if vocabulary else code) if code else ""


def _told(out: "Console", told: dict[str, str | None] | None) -> None:
    """What the referrer and the referee are told."""
    if told is not None:
        out.print(f"[bold]for the people concerned[/bold] {' '.join(each for each in told.values() if each)}\n")


def _claim(out: "Console", claim: dict[str, Any]) -> None:
    required, advice = claim["requirement"], label("recommendation", claim["recommendation"])
    out.print(
        f"[bold]claim[/bold] {claim['digest'][:12]}: recommends {advice}, score {claim['score']}, "
        f"needs {people_needed(required['routes'], required['people'])}"
        + (", an override" if claim["override"] else "")
    )
    sources = {each["id"]: each for each in claim["evidence"]}
    _table(
        out,
        "checks",
        claim["checks"],
        lambda c: (
            label("check", c["code"]),
            label("result", c["result"]),
            c["sentence"],
            ", ".join(_cited(sources[each]) for each in c["evidence"]),
        ),
        *("check", "result", "why", "evidence"),
    )
    _table(
        out,
        "flags",
        claim["flags"],
        lambda f: (label("flag", f["flag"]), f["about"], f["sentence"]),
        "flag",
        "from",
        "why",
    )
    _table(
        out,
        "fraud signals",
        claim["contributions"],
        lambda c: (
            label("signal", c["signal"]),
            c["weight"],
            {True: "fired", False: "silent", None: "could not run"}[c["fired"]],
            c.get("why"),  # a claim from before signals gave reasons has none
        ),
        *("signal", "weight", "result", "why"),
    )
    _table(
        out,
        "calculation",
        claim["lines"],
        lambda line: (label("side", line["role"]), line["what"], display(line["amount_minor"], line["currency"])),
        *("for the", "rule", "amount"),
    )
    _table(
        out,
        "legs",
        claim["legs"],
        lambda leg: (
            label("side", leg["role"]),
            leg["beneficiary"],
            display(leg["amount_minor"], leg["currency"]),
            label("kind", leg["kind"]),
        ),
        *("for the", "beneficiary", "amount", "kind"),
    )


def _cited(evidence: dict[str, Any]) -> str:
    return f"{evidence['what']} ({evidence['source']} {evidence['reference']})"


def _decision(decision: dict[str, Any]) -> tuple[Any, ...]:
    left = decision["kind"] == "deny" and decision["facts_known"] is not None
    kind = label("decided", "leave_closed" if left else decision["kind"])
    effects = ", ".join(effect_in_words(each["effect"], each["why"]) for each in decision["effects"])
    return (
        kind if decision["genuine"] else f"{kind} (FORGED: no signature that we believe)",
        decision["user"],
        ", ".join(labels("role", decision["roles"])),
        label("decision_reason", decision["reason"]),
        decision["note"] or "erased",
        decision["decided_at"],
        effects,
    )


def _fact(fact: dict[str, Any]) -> tuple[Any, ...]:
    says = ", ".join(f"{name} {value}" for name, value in fact["data"].items() if not isinstance(value, dict))
    source = f"{fact['source']} {fact['event_id']}"
    return (
        fact["occurred_at"],
        label("fact", fact["type"]),
        says,
        source,
        fact["told_by"] or "",
        fact["received_at"],
        "late" if fact["late"] else "",
    )


def _notice(notice: dict[str, Any]) -> tuple[str, ...]:
    what, to = label("letter", notice["what"]), f"{label('audience', notice['to'])} {notice['recipient']}"
    state = label("letter_state", notice["state"])
    return notice["planned_at"], what, to, notice["channel"], state, notice["why"] or ""


def _table(out: "Console", title: str, rows: Iterable[Any], cells: Any, *columns: str) -> None:
    """A titled table, left out where there is nothing to show."""
    listed = table(*columns, title=title, title_justify="left", title_style="bold", show_header=any(columns))
    for row in rows:
        listed.add_row(*("" if cell is None else str(cell) for cell in cells(row)))
    if listed.row_count:
        out.print(listed)
