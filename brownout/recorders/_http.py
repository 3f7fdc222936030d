"""GET with a token, as recorders need it."""

import httpx

from brownout.target import Source


class Unreadable(ValueError):
    """The source answered, but not with what it should."""


async def get(client: httpx.AsyncClient, source: Source, **params: str | int) -> httpx.Response:
    """The source's answer.

    Raises:
        OSError: no answer.
        Unreadable: not a 200.
    """
    headers = {"authorization": f"Bearer {source.token}"} if source.token else {}
    try:
        response = await client.get(source.url, params=params, headers=headers)
    except httpx.TransportError as error:
        raise ConnectionError(type(error).__name__) from error
    if response.status_code != 200:
        msg = f"{source.name} answered {response.status_code}"
        raise Unreadable(msg)
    return response
