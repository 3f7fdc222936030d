"""Who is believed over TLS."""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """What a client believes that heeds no environment: one for all, since reading the certificates takes 30 ms."""
    return httpx.create_ssl_context(trust_env=False)


def plain_client() -> httpx.AsyncClient:
    """For what a run asks of a system beside its load, as whether it is ready, and its metrics: for 2 s at the most."""
    return httpx.AsyncClient(timeout=2.0, trust_env=False, verify=trusted())
