"""Where everything is: the STACK_* variables that a role cannot do without."""

from collections.abc import Mapping, Sequence

from target_stack.setting import ConfigurationError

__all__ = ["named_urls", "required"]


def required(environ: Mapping[str, str], name: str, *, role: str = "gateway") -> str:
    """Return a variable that the role needs; raise ConfigurationError where it is not set."""
    value = environ.get(name)
    if not value:
        msg = f"the {role} needs {name}"
        raise ConfigurationError(msg)
    return value


def named_urls(environ: Mapping[str, str], variable: str, names: Sequence[str]) -> dict[str, str]:
    """Return the URLs of a variable that says `NAME=URL,...`; raise ConfigurationError where it does not."""
    urls = {}
    for entry in required(environ, variable).split(","):
        name, _, url = entry.strip().partition("=")
        if name not in names or not url.startswith("http"):
            msg = f"{variable}: an entry is not NAME=URL with NAME one of {', '.join(names)}"
            raise ConfigurationError(msg)
        urls[name] = url
    return urls
