"""What the demo's checks look at: a small shop on 127.0.0.1, by Python's own server.

    python3 target.py PORT

`GET /break` makes the shop's health fail until `GET /mend`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

broken = False


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global broken
        if self.path in ("/break", "/mend"):
            broken = self.path == "/break"
            self.answer(200, {"broken": broken})
        elif self.path == "/health":
            self.answer(503, {"status": "down"}) if broken else self.answer(200, {"status": "ok"})
        elif self.path == "/queues":
            self.answer(200, {"orders": {"depth": 12}, "mails": {"depth": 3}})
        elif self.path == "/metrics":
            text = 'disk_free_bytes{mount="/"} 48000000000\ndisk_free_bytes{mount="/boot"} 900000000\n'
            self.answer(200, text, "text/plain; version=0.0.4")
        elif self.path == "/old":
            self.answer(301, "moved", "text/plain", {"Location": "/health"})
        elif self.path == "/account" and self.headers.get("Authorization") == "Bearer demo-token":
            self.answer(200, {"user": "probe"})
        elif self.path == "/account":
            self.answer(401, {"error": "log in first"})
        else:
            self.answer(404, {"error": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/login" and b'"probe"' in body:
            self.answer(200, {"token": "demo-token"})
        else:
            self.answer(403, {"error": "who are you?"})

    def answer(self, status, body, media_type="application/json", headers=None):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
