# SPDX-License-Identifier: Apache-2.0
"""A real HTTPS server on the loopback for the HTTPS door: lists of campaigns with ETags, a receiver of events that knows each one by
(gateway, epoch, seq), files, and what can go wrong with all of them."""

import collections
import hashlib
import http.server
import json
import socket
import ssl
import threading
import time

PATIENCE_S = 60


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def planned(self):
        """An answer that the test has planned for this request."""
        owner = self.server.owner
        plans = owner.plans[self.path]
        return plans.pop(0) if plans else None

    def begin(self, body=b""):
        owner = self.server.owner
        with owner.changed:
            plan = self.planned()
            refused = owner.token and self.headers.get("Authorization") != f"Bearer {owner.token}"
            owner.requests.append((time.monotonic(), self.command, self.path, dict(self.headers), 401 if refused else plan[0] if plan else 200))
            owner.changed.notify_all()
        if refused:
            self.answer(401)
        elif plan and plan[0]:
            self.answer(plan[0], b"", plan[1])
        return refused or (plan and plan[0]), plan

    def do_GET(self):
        owner = self.server.owner
        done, plan = self.begin()
        if done:
            return
        if self.path == owner.endless:
            self.send_endless(owner)
            return
        data = owner.files.get(self.path)
        if self.path in owner.later:
            owner.files[self.path] = owner.later.pop(self.path)
        if data is None:
            self.answer(404)
            return
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            with owner.changed:
                owner.n_unchanged += 1
                owner.changed.notify_all()
            self.answer(304, headers=[("ETag", etag)])
            return
        self.send_file(data, etag, plan[1] if plan else None)

    def send_endless(self, owner):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                with owner.changed:
                    owner.n_endless += 0x10000
        except OSError:
            self.close_connection = True

    def send_file(self, data, etag, cut):
        begin = 0
        if self.headers.get("Range") and self.headers.get("If-Range", etag) == etag:
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if begin else 200)
        self.send_header("ETag", etag)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        self.wfile.write(data[begin:cut])
        self.wfile.flush()
        self.close_connection = cut is not None

    def do_POST(self):
        owner = self.server.owner
        body = self.rfile.read(int(self.headers["Content-Length"]))
        done, plan = self.begin(body)
        if done:
            return
        if self.path != "/events":
            owner.notice(body)
        else:
            owner.take(json.loads(body))
        if plan:  # taken, but the answer never arrives
            self.close_connection = True
            return
        self.answer(204)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        try:
            request.do_handshake()
        except ssl.SSLError:
            # Closing with unread bytes would reset the connection and take the alert back that says why.
            while socket.socket.recv(request, 4096):
                pass
            return
        super().finish_request(request, client_address)


class FleetServer:
    """files: path -> bytes. plans[path]: answers for the next requests, (status, headers), or (None, cut) for a body that is cut
    (GET) or an answer that is lost (POST)."""

    def __init__(self, authority, leaf=None, token=None, client_ca=None):
        self.changed = threading.Condition()
        self.files, self.plans = {}, collections.defaultdict(list)
        self.later = {}  # path -> what the file is from the second request on
        self.endless, self.n_endless = None, 0  # a path that is answered without end
        self.requests, self.batches, self.events, self.notices = [], [], [], []
        self.n_repeated = self.n_unchanged = 0
        self.seen = set()
        self.token = token
        self.client_ca = client_ca
        self.leaf = leaf or authority.leaf()
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.leaf)
        if self.client_ca:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        self.server = _Server(("127.0.0.1", self.port), _Handler)
        self.port = self.server.server_address[1]
        self.server.owner = self
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def url(self, path=""):
        return f"https://127.0.0.1:{self.port}{path}"

    def settings(self, extra=""):
        return f"[https]\nurl = {self.url('/lists')}\nevents_url = {self.url('/events')}\npoll_interval = 1 s\n{extra}\n"

    def put_list(self, name, *jws):
        with self.changed:
            self.files[f"/lists/{name}.json"] = json.dumps(jws).encode()

    def take(self, batch):
        with self.changed:
            self.batches.append(batch)
            for event in batch["events"]:
                key = (event["gateway"], event["epoch"], event["seq"])
                self.n_repeated += key in self.seen
                if key not in self.seen:
                    self.events.append(event)
                self.seen.add(key)
            self.changed.notify_all()

    def notice(self, body):
        with self.changed:
            self.notices.append(json.loads(body))
            self.changed.notify_all()

    def await_(self, condition, timeout_s=PATIENCE_S):
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), f"{len(self.requests)} requests, {len(self.events)} events; last {self.requests[-3:]}"

    def await_end(self, campaign, state="completed"):
        self.await_(lambda: any(e["type"] == "campaign-state" and e.get("campaign") == campaign and e["data"]["state"] == state
                                for e in self.events))

    def asked(self, path, method="GET"):
        """(when, headers, status) of each request for a path."""
        return [(when, headers, status) for when, how, what, headers, status in self.requests if what == path and how == method]
