"""Who is asking: bearer tokens, each with its tenant, tier, region and use case."""

import hashlib
from pathlib import Path

import msgspec

from target_stack.failures import StackError
from target_stack.tier import Tier

__all__ = ["Authenticator", "Principal"]


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    token: str
    tenant: str = ""
    tier: Tier = "free"
    region: str = ""
    use_case: str = ""
    admin: bool = False


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The holder of a token. An admin without a tenant may load documents but not ask.

    `id` tells tokens apart and does not reveal them.
    """

    id: str
    tenant: str
    tier: Tier
    region: str
    use_case: str = ""
    admin: bool


class Authenticator:
    """Looks tokens up by their hash, so that the time it takes tells nothing of how near a guess was."""

    def __init__(self, path: Path) -> None:
        """Read the token file; raise ValueError when it cannot be read or is not what it should be."""
        try:
            entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
        except OSError as error:
            msg = f"token file {path}: {error.strerror}"
            raise ValueError(msg) from None
        except msgspec.MsgspecError as error:
            msg = f"token file {path}: {error}"
            raise ValueError(msg) from None
        self._principals = {
            _digest(entry.token.encode()): Principal(
                id=_digest(entry.token.encode()).hex()[:16],
                tenant=entry.tenant,
                tier=entry.tier,
                region=entry.region,
                use_case=entry.use_case,
                admin=entry.admin,
            )
            for entry in entries
        }

    def principal(self, authorization: str | None) -> Principal:
        """Return whose `Authorization` header this is; raise StackError (401) for no token or an unknown one."""
        scheme, _, token = (authorization or "").partition(" ")
        # Header values reach us as latin-1, whatever the client meant; the token file is UTF-8.
        principal = self._principals.get(_digest(token.strip().encode("latin-1", "replace")))
        if scheme.lower() != "bearer" or principal is None:
            raise StackError(
                401, "Missing or unknown bearer token.", code="invalid_api_key", kind="authentication_error"
            )
        return principal

    def tenant(self, authorization: str | None) -> Principal:
        """Return the principal of a token that belongs to a tenant; raise StackError (401, 403)."""
        principal = self.principal(authorization)
        if not principal.tenant:
            raise StackError(403, "This token has no tenant.", code="no_tenant", kind="permission_error")
        return principal

    def admin(self, authorization: str | None) -> Principal:
        """Return the principal of an admin token; raise StackError (401, 403)."""
        principal = self.principal(authorization)
        if not principal.admin:
            raise StackError(403, "This needs an admin token.", code="admin_only", kind="permission_error")
        return principal


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
