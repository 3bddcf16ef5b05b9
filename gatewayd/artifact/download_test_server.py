#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS server for download_server_test: makes a certificate, prints its port, serves FILE until standard input ends. Each answer is a
line in the file "log": path, status, first byte, bytes sent. Usage: download_test_server.py FOLDER

    /file       the file, with ranges and a strong ETag        /slow   the same, some MB a second
    /cut/N      answers that break after N bytes               /count/N/PATH   the first N answers are 503, then PATH
    /changing   another ETag with every answer                 /redirect  to /file       /secret  needs user and password
    anything else is 404
"""

import base64
import http.server
import os
import ssl
import subprocess
import sys
import threading
import time

FILE = open(os.path.join(sys.argv[1], "file"), "rb").read()
counts = {}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def note(self, status, first, sent):
        with lock, open("log", "a") as log:
            log.write("%s %d %d %d\n" % (self.path, status, first, sent))

    def refuse(self, status, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.note(status, 0, 0)

    def send_file(self, etag='"v1"', cut=None, pause_s=0):
        wanted = self.headers.get("Range")
        first = 0
        if wanted and self.headers.get("If-Range", etag) == etag:
            first = int(wanted[len("bytes="):].rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, len(FILE) - 1, len(FILE)))
        else:
            self.send_response(200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(FILE) - first))
        self.end_headers()
        end = len(FILE) if cut is None else min(first + cut, len(FILE))
        sent = 0
        try:
            while first + sent < end:
                piece = FILE[first + sent:min(first + sent + 16384, end)]
                self.wfile.write(piece)
                sent += len(piece)
                time.sleep(pause_s)
        except OSError:
            pass
        self.close_connection = end < len(FILE)
        self.note(206 if first else 200, first, sent)

    def do_GET(self):
        path = self.path
        if path.startswith("/count/"):
            _, _, limit, path = path.split("/", 3)
            with lock:
                counts[self.path] = counts.get(self.path, 0) + 1
                busy = counts[self.path] <= int(limit)
            if busy:
                return self.refuse(503, [("Retry-After", "0")])
            path = "/" + path
        if path == "/file":
            self.send_file()
        elif path == "/slow":
            self.send_file(pause_s=0.004)
        elif path.startswith("/cut/"):
            self.send_file(cut=int(path[len("/cut/"):]))
        elif path == "/changing":
            with lock:
                counts[path] = counts.get(path, 0) + 1
            self.send_file(etag='"v%d"' % counts[path], cut=300000 if counts[path] == 1 else None)
        elif path == "/redirect":
            self.refuse(302, [("Location", "/file")])
        elif path == "/secret":
            expected = "Basic " + base64.b64encode(b"pi:secret").decode()
            if self.headers.get("Authorization") == expected:
                self.send_file()
            else:
                self.refuse(401)
        else:
            self.refuse(404)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        request.settimeout(60)
        request.do_handshake()
        super().finish_request(request, client_address)


def main():
    os.chdir(sys.argv[1])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem",
                    "-out", "certificate.pem", "-days", "30", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("certificate.pem", "key.pem")
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
