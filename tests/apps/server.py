#!/usr/bin/env python3
"""A web service as people write it with http.server, and two bad habits on request:
server.py -port=8086 [--http11] [--ignore-term] [--drop-kept]
"""

import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

GIVEN = sys.argv[1:]
PORT = next(int(argument[len("-port="):]) for argument in GIVEN if argument.startswith("-port="))


class Handler(BaseHTTPRequestHandler):
    # Left alone, http.server speaks HTTP/1.0 and closes after each answer.
    if "--http11" in GIVEN:
        protocol_version = "HTTP/1.1"

    answers = 0

    def drops(self):
        """Whether this connection goes without an answer; the one before did not say so."""
        self.answers += 1
        self.close_connection |= "--drop-kept" in GIVEN and self.answers > 1
        return self.close_connection and self.answers > 1

    def do_GET(self):
        if self.drops():
            return
        url = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
        if url.path == "/":
            self.answer(b"hello from the fixture\n")
        elif url.path == "/big":
            self.answer(bytes(position % 251 for position in range(query["bytes"])))
        elif url.path == "/stream":
            self.stream(query["chunks"], query["ms"] / 1000)
        else:
            self.send_error(404)

    def do_POST(self):
        if not self.drops():
            self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body):
        self.send_response(200)
        self.send_header("X-Instance", str(PORT))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, chunks, seconds):
        lines = [b"chunk %d\n" % chunk for chunk in range(chunks)] + [b"end of stream\n"]
        self.send_response(200)
        self.send_header("X-Instance", str(PORT))
        self.send_header("Content-Length", str(sum(map(len, lines))))
        self.end_headers()
        for line in lines:
            time.sleep(seconds / len(lines))
            self.wfile.write(line)

    def log_message(self, *_):
        """A line for each request is too much here."""


if "--ignore-term" in GIVEN:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(f"python listens on {PORT}", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
