"""An app and its LLM provider, of the standard library alone: `tiny_app.py PORT`, with OPENAI_BASE_URL for the app."""

import http.client
import json
import os
import sys
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PROVIDER = os.environ.get("OPENAI_BASE_URL")


def ask(provider: str, question: bytes) -> object:
    url = urlsplit(provider)
    with closing(http.client.HTTPConnection(url.netloc, timeout=2.0)) as client:
        client.request("POST", f"{url.path}/chat/completions", question, {"content-type": "application/json"})
        answer = client.getresponse()
        if answer.status != 200:
            raise ConnectionError(answer.status)
        return json.loads(answer.read())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.say(200, {"ready": True, "sees": os.environ.get("TOLD", "")})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/chat/completions":
            self.say(404, {"detail": "Not Found"})
        elif PROVIDER is None:
            self.say(200, {"choices": [{"message": {"role": "assistant", "content": "Paris."}}]})
        else:
            asked = json.dumps({**json.loads(sent), "stream": False}).encode()
            try:
                self.say(200, ask(PROVIDER, asked))
            except (OSError, http.client.HTTPException):
                self.say(502, {"detail": "no provider"})

    def say(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
