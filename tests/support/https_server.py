"""HuggingFace's server as import-hf sees it: https_server.py CERTIFICATE KEY CONFIG PORT_FILE

Serves CONFIG as the config.json of org/model and fails in several ways for other models. Writes
its port to PORT_FILE and ends by itself after a minute."""

import http.server
import os
import ssl
import sys
import threading
import time

certificate, key, config, port_file = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        organisation, _, rest = self.path[1:].partition("/")
        if rest != "model/resolve/main/config.json":
            self.answer(404)
        elif organisation == "org":
            with open(config, "rb") as file:
                self.answer(200, file.read())
        elif organisation == "private":
            allowed = self.headers.get("Authorization") == "Bearer secret"
            self.answer(302 if allowed else 401, Location="/org/" + rest)
        elif organisation == "plain":
            self.answer(302, Location=f"http://127.0.0.1:{server.server_port}/org/{rest}")
        elif organisation == "slow":
            time.sleep(10)
        elif organisation == "huge":
            self.answer(200, b" " * (5 << 20))
        elif organisation == "empty":
            self.answer(200)
        else:
            self.answer(503)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Timer(60, os._exit, [1]).start()
with open(port_file + ".part", "w", encoding="ascii") as file:
    file.write(str(server.server_port))
os.rename(port_file + ".part", port_file)
server.serve_forever()
