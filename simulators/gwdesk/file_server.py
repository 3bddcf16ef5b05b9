# SPDX-License-Identifier: Apache-2.0
"""A real HTTPS server for one folder."""

import functools
import http.server
import pathlib
import ssl
import threading


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_PUT(self):
        server = self.server.owner
        data = self.rfile.read(int(self.headers["Content-Length"]))
        allowed = server.token and self.headers.get("Authorization") == f"Bearer {server.token}"
        if allowed:
            (server.folder / pathlib.PurePosixPath(self.path).name).write_bytes(data)
        self.send_response(201 if allowed else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()


class FileServer:
    """token: who knows it may upload; None: nobody."""

    def __init__(self, folder, authority, host="localhost"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = authority.issue("files", [host, "127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(self.folder)))
        self.server.daemon_threads = True
        self.server.owner = self
        self.token = None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://{host}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
