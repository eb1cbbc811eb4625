"""The user of the token in a request."""

from fastapi import APIRouter
from pydantic import BaseModel

from referral_rewards.api.dependencies import SignedIn
from referral_rewards.domain.people.authority import Role, Scope

router = APIRouter(prefix="/v1/me", tags=["tokens"])


class Myself(BaseModel):
    """The user whose token it is, with the roles held and what the token may be used for."""

    name: str
    roles: list[Role]
    scopes: list[Scope]


@router.get("", summary="Whose token it is")
async def show_myself(user: SignedIn) -> Myself:
    """Returns the user, their roles, and what this token may be used for."""
    return Myself(name=user.name, roles=sorted(user.roles), scopes=sorted(user.scopes))
