#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS servers with good and bad certificates for http_test: makes the certificates, prints "name value" lines and "ready", serves
until its standard input ends. Usage: http_test_server.py FOLDER"""

import datetime
import email.utils
import hashlib
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

FILE = bytes(hashlib.sha256(b"gatewayd").digest() * 10000)[:300000]
ETAG = '"strong-1"'
CONFIG = """
[ca]
default_ca = ca
[ca]
database = index
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[here]
subjectAltName = IP:127.0.0.1, IP:127.0.0.2, DNS:localhost
[elsewhere]
subjectAltName = DNS:elsewhere.example
"""


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def key_and_request(name):
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out",
            name + ".csr", "-subj", "/CN=" + name)


def leaf(name, extensions, start_days, end_days):
    now = datetime.datetime.now(datetime.timezone.utc)
    start, end = ((now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (start_days, end_days))
    key_and_request(name)
    openssl("ca", "-batch", "-config", "ca.conf", "-extensions", extensions, "-startdate", start, "-enddate", end, "-notext", "-in",
            name + ".csr", "-out", name + ".pem")


def make_certificates():
    with open("ca.conf", "w") as file:
        file.write(CONFIG)
    open("index", "w").close()
    with open("serial", "w") as file:
        file.write("01\n")
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", ca + ".key", "-out",
                ca + ".pem", "-days", "3650", "-subj", "/CN=" + ca)
    leaf("good", "here", -1, 30)
    leaf("expired", "here", -30, -1)
    leaf("future", "here", 10, 30)
    leaf("elsewhere", "elsewhere", -1, 30)
    leaf("client", "here", -1, 30)
    with open("client.both", "w") as file:
        file.write(open("client.pem").read() + open("client.key").read())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def file(self, query):
        headers = [("ETag", ETAG), ("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT"), ("Content-Type", "application/octet-stream")]
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", ETAG) == ETAG:
            start = int(wanted[len("bytes="):].rstrip("-"))
            headers.append(("Content-Range", "bytes %d-%d/%d" % (start, len(FILE) - 1, len(FILE))))
            self.answer(206, FILE[start:], headers)
        else:
            self.answer(200, FILE, headers)

    def missing(self, query):
        self.answer(404, b"no such file")

    def busy(self, query):
        self.answer(503, b"", [("Retry-After", "7")])

    def busydate(self, query):
        self.answer(503, b"", [("Retry-After", email.utils.formatdate(90 + datetime.datetime.now().timestamp(), usegmt=True))])

    def redirect(self, query):
        self.answer(int(query.get("status", ["302"])[0]), b"moved", [("Location", query["to"][0])])

    def hops(self, query):
        n_left = int(query["n"][0])
        self.answer(302, b"", [("Location", "/hops?n=%d" % (n_left - 1) if n_left > 1 else "/echo")])

    def echo(self, query):
        size = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(size)
        self.answer(200, ("%s %s\n" % (self.command, self.path)).encode() + str(self.headers).encode() + body)

    def chunked(self, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n")

    def stall(self, query):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)
        self.connection.recv(1)

    def silent(self, query):
        self.connection.recv(1)

    def cut(self, query):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 100)
        self.close_connection = True

    def hugehead(self, query):
        self.answer(200, b"", [("X-%d" % i, "y" * 1000) for i in range(20)])

    def garbage(self, query):
        self.wfile.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n")
        self.close_connection = True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        getattr(self, url.path.strip("/"))(urllib.parse.parse_qs(url.query))

    do_HEAD = do_POST = do_PUT = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        request.settimeout(60)
        try:
            request.do_handshake()
        except ssl.SSLError:
            # Closing with unread bytes would reset the connection and take the alert back that says why.
            while socket.socket.recv(request, 4096):
                pass
            return
        super().finish_request(request, client_address)


def serve(name, certificate, address="127.0.0.1", client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate + ".pem", certificate + ".key")
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    server = Server((address, 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(name, server.server_address[1])


def main():
    os.chdir(sys.argv[1])
    make_certificates()
    serve("good", "good")
    serve("other", "good")
    serve("second", "good", "127.0.0.2")
    serve("expired", "expired")
    serve("future", "future")
    serve("elsewhere", "elsewhere")
    serve("mutual", "good", client_ca="ca.pem")
    print("ready 1", flush=True)
    sys.stdin.read()


main()
