"""The feature-flag service: which consistency policy each use case has, changed while everything runs.

What was changed lasts as long as its process; it starts with `flags.initial`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.auth import Authenticator
from target_stack.failures import StackError
from target_stack.policy import PolicyName
from target_stack.policy_choice import policies_by_use_case
from target_stack.policy_flags import FLAGS_PATH, Flags
from target_stack.server import run
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings
from target_stack.variables import required

__all__ = ["serve"]


def serve(settings: Settings, environ: Mapping[str, str], *, host: str, port: int) -> None:
    """Serve the flags; raise ConfigurationError when the environment lacks something."""
    try:
        authenticator = Authenticator(Path(required(environ, "STACK_TOKENS", role="flag service")))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    run(_Service(authenticator, policies_by_use_case(settings, "flags.initial")).app(), host=host, port=port)


class _Change(msgspec.Struct, frozen=True):
    policy: PolicyName | None
    """None: the use case has no flag any more."""


class _Service:
    def __init__(self, authenticator: Authenticator, initial: Mapping[str, PolicyName]) -> None:
        self._authenticator = authenticator
        self._policies = dict(initial)
        self._decoder = msgspec.json.Decoder(_Change)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/health/ready", self._live),
                Route(FLAGS_PATH, self._told),
                Route(FLAGS_PATH + "/{use_case}", self._changed, methods=["PUT"]),
            ],
        )

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "ready"})

    async def _told(self, request: Request) -> Response:
        body = msgspec.json.encode(Flags(self._policies), order="deterministic")
        headers = {"etag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def _changed(self, request: Request) -> Response:
        try:
            self._authenticator.admin(request.headers.get("authorization"))
            change = self._decoder.decode(await request.body())
        except StackError as error:
            return JSONResponse({"error": error.body()}, status_code=error.status)
        except msgspec.MsgspecError as error:
            invalid = StackError(400, str(error), code="invalid_request", kind="invalid_request_error")
            return JSONResponse({"error": invalid.body()}, status_code=invalid.status)
        use_case = request.path_params["use_case"]
        if change.policy is None:
            self._policies.pop(use_case, None)
        else:
            self._policies[use_case] = change.policy
        return Response(status_code=204)
