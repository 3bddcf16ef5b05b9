# SPDX-License-Identifier: Apache-2.0
"""A real HTTPS server on the loopback, with a certificate of its own making, that misbehaves where a test wants it to."""

import http.server
import pathlib
import re
import ssl
import subprocess
import threading


def make_certificate(folder, *extra):
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", *(extra or ("-days", "30"))],
                   check=True, capture_output=True)
    return key, certificate


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server.owner
        wanted = self.headers.get("Range")
        with server.changed:
            server.requests.append((self.path, wanted))
            server.changed.notify_all()
        data = server.files.get(self.path)
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        begin = int(re.match(r"bytes=(\d+)-", wanted).group(1)) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self._send(server, data[begin:])

    def _send(self, server, data):
        cut = server.cuts.pop(0) if server.cuts else None
        self.wfile.write(data[:cut])
        self.wfile.flush()
        if cut is None:
            return
        with server.changed:
            server.n_cut += 1
            server.changed.notify_all()
        if server.hold:
            server.released.wait(30)
        self.close_connection = True


class Server:
    """files: path -> bytes. cuts: after how many bytes the next answers end; with hold they stand still there until release()."""

    def __init__(self, folder, *certificate_options):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.files, self.cuts, self.requests = {}, [], []
        self.hold, self.n_cut = False, 0
        self.changed, self.released = threading.Condition(), threading.Event()
        key, self.certificate = make_certificate(self.folder, *certificate_options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path):
        return f"https://127.0.0.1:{self.server.server_address[1]}{path}"

    def await_cut(self, n=1, timeout_s=30):
        with self.changed:
            assert self.changed.wait_for(lambda: self.n_cut >= n, timeout_s)

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
