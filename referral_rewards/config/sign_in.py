"""The OpenID provider that people sign in with, where there is one."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from referral_rewards.domain.programs.terms import Role

#: Over TLS, or on this machine.
_ISSUER: Final = r"^(https://|http://(localhost|127\.0\.0\.1)(:\d+)?(/|$))[^\s?#]*$"


class SignInSettings(BaseModel):
    """Without an issuer people sign in with passwords of ours alone."""

    oidc_issuer: Annotated[str, StringConstraints(pattern=_ISSUER)] | None = Field(
        default=None, description="OpenID provider that people sign in with, as it names itself"
    )
    oidc_client_id: str | None = Field(default=None, description="What the provider knows us by")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Our secret there; for the API alone")
    oidc_name_claim: str = Field(default="preferred_username", description="Claim that people are named by")
    oidc_roles_claim: str | None = Field(
        default=None, description="Claim that says which roles people hold; from our register, if not given"
    )
    oidc_roles: dict[str, Role] = Field(
        default={}, description='Roles by what that claim says: {"finance-team": "finance"}'
    )
