"""A row as facts: its referrer, its referral, the claim, the order and its refund, each under an id of the row's own.

The id of a fact is the tool's id of the row and the fact's part in it. So the same file again repeats and doubles
nothing, and two rows of one referral contradict one another nowhere.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from referral_rewards.domain.errors import Problem
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.jsonl import read_document
from referral_rewards.domain.facts.payloads import FactType, ReversalKind
from referral_rewards.domain.imports.cells import Cells, CellWrong, is_more_than_nothing
from referral_rewards.domain.imports.mapping import REFEREE, Said
from referral_rewards.domain.imports.rows import Row

_REFEREE_PARTS: Final = {
    "customer": Said.REFEREE_CUSTOMER,
    "email": Said.REFEREE_EMAIL,
    "phone": Said.REFEREE_PHONE,
    "name": Said.REFEREE_NAME,
}


def _person(name: str) -> dict[str, Said]:
    return {f"{name}.{part}": said for part, said in _REFEREE_PARTS.items()}


class _Part(NamedTuple):
    """One fact of a row: its time is the first of ``at`` that the row says; ``data`` tells where each value goes."""

    name: str
    type: FactType
    at: tuple[Said, ...]
    data: Mapping[str, Said]


_ENROLLED: Final = _Part(
    "enrolled",
    FactType.REFERRER_ENROLLED,
    (Said.ENROLLED_AT, Said.REFERRED_AT),
    {
        "referrer": Said.REFERRER,
        "program": Said.PROGRAM,
        "code": Said.REFERRER_CODE,
        "customer": Said.REFERRER_CUSTOMER,
        "email": Said.REFERRER_EMAIL,
        "phone": Said.REFERRER_PHONE,
    },
)
_SENT: Final = _Part(
    "sent",
    FactType.REFERRAL_SENT,
    (Said.REFERRED_AT,),
    {
        "referral": Said.REFERRAL,
        "program": Said.PROGRAM,
        "referrer": Said.REFERRER,
        "channel": Said.CHANNEL,
        **_person("referee"),
    },
)
_CLAIMED: Final = _Part(
    "claimed",
    FactType.REFERRAL_CLAIMED,
    (Said.CLAIMED_AT, Said.REFERRED_AT),
    {"referral": Said.REFERRAL, "channel": Said.CHANNEL, **_person("referee")},
)
_CONVERTED: Final = _Part(
    "converted",
    FactType.CONVERSION_RECORDED,
    (Said.CONVERTED_AT,),
    {
        "order": Said.ORDER,
        "kind": Said.KIND,
        "amount": Said.AMOUNT,
        "currency": Said.CURRENCY,
        **_person("customer"),
    },
)
_REFUNDED: Final = _Part(
    "refunded",
    FactType.CONVERSION_REVERSED,
    (Said.REFUNDED_AT, Said.CONVERTED_AT),
    {"order": Said.ORDER, "amount": Said.REFUNDED, "currency": Said.CURRENCY},
)
#: What a row says without a column for it.
_DEFAULTS: Final = {Said.CHANNEL: "link", Said.KIND: "purchase"}


class Translated(NamedTuple):
    """What a row becomes: its facts as CloudEvents and as we read them, or the problems for which it becomes none."""

    documents: tuple[dict[str, Any], ...]
    events: tuple[Event, ...]
    problems: tuple[Problem, ...] = ()


def translated(row: Row, cells: Cells, program: str | None) -> Translated:
    """Return the facts of a row that the tool left open: all of them, or none and the problems.

    ``program`` goes before what the row says.
    """
    said, problems = _said(row, cells, program)
    problems += _lacks(row, said, cells)
    if problems:
        return Translated((), (), tuple(problems))
    documents = tuple(_document(part, row.text(cells.mapping.row), said, cells) for part in _parts(said))
    lines = [read_document(row.number, document) for document in documents]
    found = [
        Problem(_of_column(part, problem.where, cells), problem.what)
        for part, line in zip(_parts(said), lines, strict=True)
        for problem in line.problems
    ]
    if found:
        return Translated((), (), tuple(dict.fromkeys(found)))
    return Translated(documents, tuple(line.event for line in lines if line.event is not None))


def _said(row: Row, cells: Cells, program: str | None) -> tuple[dict[Said, str], list[Problem]]:
    """What the row says, as facts write it, and what of it can't be read."""
    said, problems = dict(_DEFAULTS), list[Problem]()
    for each in Said:
        try:
            value = cells.read(each, row)
        except CellWrong as wrong:
            problems.append(Problem(f"column {cells.column(each)}", str(wrong)))
            continue
        if value is not None:
            said[each] = value
    if program is not None:
        said[Said.PROGRAM] = program
    for each in (Said.REFERRAL, Said.REFERRER):
        if each in said:
            said[each] = cells.mapping.before_ids + said[each]
    return said, problems


def _lacks(row: Row, said: Mapping[Said, str], cells: Cells) -> list[Problem]:
    """What a row must say and does not. What could not be read was told already."""
    wanted = [Said.REFERRAL, Said.REFERRER, Said.PROGRAM, Said.REFERRED_AT]
    if Said.ORDER in said:
        # An order without an amount would count whatever a program's minimum is.
        mapped = cells.mapping.facts
        wanted += [each for each in (Said.CONVERTED_AT, Said.AMOUNT, Said.CURRENCY) if each in mapped]
    problems = [
        Problem(f"column {cells.column(each)}", "is empty")
        for each in wanted
        if each not in said and not _is_filled(each, row, cells)
    ]
    if not row.text(cells.mapping.row):
        problems.append(Problem(f"column {cells.mapping.row}", "is empty: the row has no id of its own"))
    if not any(each in said for each in REFEREE):
        named = ", ".join(cells.column(each) for each in REFEREE if each in cells.mapping.facts)
        problems.append(Problem(f"column {named}", "is empty: the row names no referee, no order could match"))
    return problems


def _is_filled(said: Said, row: Row, cells: Cells) -> bool:
    cell = cells.mapping.facts.get(said)
    return cell is not None and any(row.text(column) for column in cell.column or ())


def _parts(said: Mapping[Said, str]) -> Iterator[_Part]:
    yield from (_ENROLLED, _SENT, _CLAIMED)
    if Said.ORDER in said:
        yield _CONVERTED
        if is_more_than_nothing(said.get(Said.REFUNDED, "0")):
            yield _REFUNDED


def _document(part: _Part, row_id: str, said: Mapping[Said, str], cells: Cells) -> dict[str, Any]:
    """The fact as a CloudEvent."""
    data: dict[str, Any] = {"kind": ReversalKind.REFUND.value} if part is _REFUNDED else {}
    for path, each in part.data.items():
        if each in said:
            *groups, name = path.split(".")
            place = data
            for group in groups:
                place = place.setdefault(group, {})
            place[name] = said[each]
    return {
        "specversion": "1.0",
        "id": f"{row_id}/{part.name}",
        "source": cells.mapping.source,
        "type": part.type.value,
        "time": next(said[each] for each in part.at if each in said),
        "data": data,
    }


def _of_column(part: _Part, where: str, cells: Cells) -> str:
    """The column of the export from which a fact's field came."""
    if where == "id":
        return f"column {cells.mapping.row}"
    if where == "time":
        return f"column {cells.column(part.at[-1])}"
    said = part.data.get(where.removeprefix("data."))
    return where if said is None else f"column {cells.column(said)}"
