"""The instructions for payments that people make by hand."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from referral_rewards.api.dependencies import Bookkeeper, Decider, Its, Reading
from referral_rewards.api.exporting import AT_ONCE_MAX, bank_file, export
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.reporting import instructions as reporting
from referral_rewards.reporting.instructions import Instruction, Line
from referral_rewards.reporting.shape import Shape

router = APIRouter(prefix="/v1/payouts/instructions", tags=["payouts"])


class InstructionPage(Shape):
    """Instructions for the bank. ``next`` is the value of `after` for the next page; null at the end."""

    instructions: tuple[Instruction, ...]
    next: str | None


class NewBankFile(BaseModel):
    """Which exported instructions are asked for in clear: those ``after`` that key, up to ``limit`` of them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 500}]})

    after: Annotated[str | None, Field(max_length=100, pattern=TEXT)] = None
    limit: Annotated[int, Field(strict=True, ge=1, le=500)] = 500


class BankFile(Shape):
    """Exported instructions in clear. ``next`` is the value of ``after`` for the next request; null at the end."""

    lines: tuple[Line, ...]
    next: str | None


class NewExport(BaseModel):
    """Which instructions to export: those after the payout ``after``, up to ``limit`` of them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 100}]})

    after: UUID | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=AT_ONCE_MAX)] = AT_ONCE_MAX


class NotExported(Shape):
    """A payout whose instruction was not handed out, and why in one sentence."""

    payout: UUID
    why: str


class Export(Shape):
    """The payouts whose instructions were exported now, and those that were not. ``next`` is the value of ``after`` for
    the next request; null at the end."""

    exported: tuple[UUID, ...]
    left_out: tuple[NotExported, ...]
    next: UUID | None


@router.get("", summary="List the exported instructions")
async def list_instructions(
    connection: Reading,
    person: Bookkeeper,
    after: Annotated[str | None, Query(max_length=100, pattern=TEXT)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 500,
) -> InstructionPage:
    """Lists the instructions that were exported and wait for the bank, by page: whom to pay how much, and the key to
    name as the purpose. What a fact stopped since is not among them."""
    found = await reporting.instructions(connection, after, limit)
    return InstructionPage(instructions=tuple(found), next=found[-1].key if len(found) == limit else None)


@router.post("", summary="Export instructions")
async def export_instructions(new: NewExport, person: Decider, parts: Its) -> Export:
    """Exports instructions that nobody has exported. Each payment is verified as any other is right before it is sent,
    and counts as sent from now on. Exported again it is the same instruction. Takes the role finance."""
    done = await export(parts, person, new.after, new.limit)
    return Export(
        exported=tuple(done.payouts),
        left_out=tuple(NotExported(payout=each.payout, why=each.why) for each in done.left_out),
        next=done.next,
    )


@router.post("/file", summary="Get the exported instructions in clear")
async def get_bank_file(new: NewBankFile, response: Response, person: Decider, parts: Its) -> BankFile:
    """Returns the exported instructions with destinations and names in clear, for the bank. Takes the role finance.

    That this person saw each of the payees stands in the audit log (`payee.seen`) before the answer leaves. A line with
    `missing` has nothing to pay to and is not for the bank.
    """
    response.headers["Cache-Control"] = "no-store"
    found = await bank_file(parts, person, new.after, new.limit)
    return BankFile(lines=tuple(found), next=found[-1].key if len(found) == new.limit else None)
