"""Pages of the edges in front of providers: HTML, where a client hopes for JSON.

Sources: Cloudflare's plain page as seen in openai/codex#2908 (413; the same template serves 502 and 504), with the
headers `server: cloudflare` and `cf-ray` that its developer documentation names. Google's load balancer: its page
"Error: Server Error", as client code and runbooks quote it. nginx: the built-in error pages of
`ngx_http_special_response.c`.
"""

from brownout.dialect.answer import HttpAnswer

CLOUDFLARE = (("server", "cloudflare"), ("cf-ray", "976d8e683a2be1ab-FRA"))
_TITLES = {413: "Request Entity Too Large", 502: "Bad Gateway", 504: "Gateway Time-out"}


def _signed_page(status: int, signature: str) -> bytes:
    title = f"{status} {_TITLES[status]}"
    return (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        f"<hr><center>{signature}</center>\r\n</body>\r\n</html>\r\n"
    ).encode()


def cloudflare_page(status: int) -> HttpAnswer:
    """What Cloudflare answers when the provider behind it does not: 413, 502 or 504."""
    return HttpAnswer(status, (("content-type", "text/html"), *CLOUDFLARE), _signed_page(status, "cloudflare"))


def nginx_page(status: int) -> HttpAnswer:
    """What nginx answers when the server behind it does not: 413, 502 or 504."""
    return HttpAnswer(status, (("content-type", "text/html"), ("server", "nginx")), _signed_page(status, "nginx"))


def google_page(status: int) -> HttpAnswer:
    """What Google's load balancer answers when the service behind it does not: 502."""
    body = (
        '\n<html><head>\n<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{status} Server Error</title>\n</head>\n<body text=#000000 bgcolor=#ffffff>\n"
        "<h1>Error: Server Error</h1>\n<h2>The server encountered a temporary error and could not complete your "
        "request.<p>Please try again in 30 seconds.</h2>\n<h2></h2>\n</body></html>\n"
    )
    return HttpAnswer(status, (("content-type", "text/html; charset=UTF-8"),), body.encode())
