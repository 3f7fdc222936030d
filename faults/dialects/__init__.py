"""LLM providers, one file each, registered under the entry point group `brownout.dialects`.

To add one: a file with a subclass of `brownout.dialect.Dialect` and an instance of it, and a line in `pyproject.toml`.
State the source of each shape, and what the provider does not have. Prove it with the provider's own client library,
as `tests/dialects/` does for these.
"""
