# SPDX-License-Identifier: Apache-2.0
"""All devices of one process: their ports, the event file, what survives in a folder, and the control commands."""
import json
import os
import time

from .openings import Openings
from .options import OptionError
from .reactor import Reactor
from .smp_device import verifier_of

LASTING = {"upload-complete", "test", "perm", "confirm", "erase", "swap", "revert", "image-rejected", "boot", "reset"}


class Simulation:
    def __init__(self, events_path=None, state_folder=None, reactor=None):
        self.reactor = reactor or Reactor()
        self.openings = Openings(self.reactor)
        self.ports = []
        self.listeners = []  # functions that want every event line
        self._state_folder = state_folder
        self._changed = set()
        self._events_fd = -1
        # Devices count time from a monotonic clock; people want to know the hour.
        self._hour = time.time() - self.reactor.now()
        if events_path:
            self._events_fd = os.open(events_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    # --- events -------------------------------------------------------------------------------------------------

    def on_event(self, device, kind, facts):
        if self._state_folder and kind in LASTING:
            if not self._changed:
                self.reactor.at(0.0, self._save_changed)
            self._changed.add(device)
        if self._events_fd < 0 and not self.listeners:
            return
        line = json.dumps({"time": round(device.now + self._hour, 6), "device": device.index, "serial": device.serial,
                           "event": kind, **facts}) + "\n"
        if self._events_fd >= 0:
            os.write(self._events_fd, line.encode())
        for listener in list(self.listeners):
            listener(line)

    # --- what lasts ---------------------------------------------------------------------------------------------

    def _state_path(self, device):
        return os.path.join(self._state_folder, f"device-{device.index}.json")

    def load(self, device):
        if not self._state_folder or not os.path.exists(self._state_path(device)):
            return
        with open(self._state_path(device), encoding="utf-8") as stream:
            device.restore(json.load(stream), self._read_blob)

    def _read_blob(self, digest):
        with open(os.path.join(self._state_folder, digest + ".bin"), "rb") as stream:
            return stream.read()

    def _save_changed(self):
        changed, self._changed = self._changed, set()
        for device in changed:
            self.save(device)

    def save(self, device):
        state, blobs = device.snapshot()
        for digest, data in blobs.items():
            path = os.path.join(self._state_folder, digest + ".bin")
            if not os.path.exists(path):
                self._write_whole(path, data)
        self._write_whole(self._state_path(device), json.dumps(state, indent=1).encode())

    @staticmethod
    def _write_whole(path, data):
        with open(path + ".new", "wb") as stream:
            stream.write(data)
        os.replace(path + ".new", path)

    # --- run ----------------------------------------------------------------------------------------------------

    def when_ready(self, function):
        """function() is called once all devices can be found."""
        waiting = {port.peripheral for port in self.ports if port.kind == "ble" and not port.peripheral.was_found}

        def one_more(peripheral):
            waiting.discard(peripheral)
            if not waiting:
                function()

        for peripheral in waiting:
            peripheral.ready = lambda peripheral=peripheral: one_more(peripheral)
        if not waiting:
            function()

    def run(self):
        for port in self.ports:
            port.pump()
        self.reactor.run()

    def close(self):
        for port in self.ports:
            if self._state_folder:
                self.save(port.device)
            port.close()
        if self._events_fd >= 0:
            os.close(self._events_fd)

    # --- control ------------------------------------------------------------------------------------------------

    def command(self, request):
        """One control request (a decoded JSON object) -> its answer."""
        try:
            if not isinstance(request, dict):
                raise OptionError("a request is a JSON object")
            action = request.get("do", "set" if "set" in request else None)
            if action == "quit":
                self.reactor.stop()
                return {"ok": True}
            results = [self._one(port, action, request) for port in self._chosen(request.get("device"))]
        except (OptionError, OSError) as problem:
            return {"ok": False, "error": str(problem)}
        if isinstance(request.get("device"), int):
            return {"ok": True, **results[0]}
        return {"ok": True, "devices": results}

    def _chosen(self, wanted):
        if wanted in (None, "all"):
            return self.ports
        found = []
        for item in wanted if isinstance(wanted, list) else [wanted]:
            port = [port for port in self.ports if item in (port.device.index, port.device.serial)]
            if not port or isinstance(item, bool):
                raise OptionError(f"there is no device {item!r}")
            found += port
        return found

    def _one(self, port, action, request):
        function = getattr(self, "_do_" + str(action).replace("-", "_"), None)
        if function is None:
            raise OptionError(f"there is no command '{action}'")
        answer = function(port, request)
        port.pump()
        return {"device": port.device.index, **(answer or {})}

    def _do_set(self, port, request):
        if not isinstance(request.get("set"), dict):
            raise OptionError("'set' is an object of options")
        try:
            verifier_of(request["set"].get("verify-key"))
        except ValueError as problem:
            raise OptionError(f"option 'verify-key': {problem}") from None
        port.device.options.update(request["set"])
        if "vanish-at" in request["set"]:
            port.device.arm_vanish()
        if "lose-answer-at" in request["set"]:
            port.device.arm_lost_answer()
        port.options_changed()

    def _do_get(self, port, request):
        return {"options": port.device.options.as_dict()}

    def _do_state(self, port, request):
        return {"serial": port.device.serial, **port.address(), **port.device.describe()}

    def _do_stats(self, port, request):
        return {"serial": port.device.serial, "stats": dict(port.device.stats), "link": port.link.stats()}

    def _do_disconnect(self, port, request):
        milliseconds = request.get("ms", port.device.options.vanish_ms)
        if not isinstance(milliseconds, (int, float)) or milliseconds < 0:
            raise OptionError("'ms' is a number of milliseconds")
        port.device.run(self.reactor.now())
        port.device.vanish(self.reactor.now(), milliseconds)

    def _do_reset(self, port, request):
        port.device.run(self.reactor.now())
        port.device.reset(self.reactor.now(), "control")

    def _do_power_cycle(self, port, request):
        port.device.power_cycle(self.reactor.now())

    def _do_power_off(self, port, request):
        port.device.power_off(self.reactor.now())

    def _do_power_on(self, port, request):
        port.device.power_on(self.reactor.now())

    def _do_unplug(self, port, request):
        port.device.unplugged = True
        port.device.event("unplug")

    def _do_plug(self, port, request):
        name = request.get("name")
        if name is not None:
            if port.kind != "serial" or port.is_open or not isinstance(name, str):
                raise OptionError("'name' is for a serial port that is unplugged")
            port.name = port.first_name = name
        port.device.unplugged = False
        port.device.event("plug", **({"name": port.name} if port.kind == "serial" else {}))
