# SPDX-License-Identifier: Apache-2.0
"""Command line of gatewayd-simulate."""
import argparse
import ctypes
import json
import os
import resource
import signal
import sys

from .control import open_control
from .options import PROFILES, TABLE, OptionError, Options, boolean, convert, parse_assignments
from .image import ImageError
from .ports import SerialPort, UdpPort
from .reactor import Reactor
from .simulation import Simulation
from .smp_device import SmpDevice
from .sysfs import Sysfs

EPILOG = """
examples:
  one device on a UDP port:
      gatewayd-simulate --udp 127.0.0.1:1337
  two hundred, the fourth loses a tenth of its messages, the sixth refuses to swap:
      gatewayd-simulate --udp 127.0.0.1:13370 --count 200 --device 3:loss=0.1 --device 5:refuse-swap
  a serial device at 115200 baud, with log text between its answers:
      gatewayd-simulate --pty /tmp/board --baud 115200 --garbage 0.3
  two on Bluetooth LE, through BlueZ, on two adapters of this computer:
      gatewayd-simulate --ble hci1,hci2
  a board of the size of an nRF5340, ten times faster than life:
      gatewayd-simulate --udp 127.0.0.1:1337 --profile nrf5340 --time-scale 10

Standard output: a line of JSON for each device that listens, then {"ready": N}.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        prog="gatewayd-simulate", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG, allow_abbrev=False,
        description="Simulated devices that speak SMP and boot as MCUboot does.")
    where = parser.add_argument_group("Where the devices are")
    where.add_argument("--udp", metavar="HOST:PORT", help="first UDP port (0: any free ones)")
    where.add_argument("--pty", metavar="NAME", help="link to a pseudo terminal; %%d is replaced by the number of the "
                                                      "device, {serial} by its serial number")
    where.add_argument("--ble", metavar="ADAPTER,...", help="Bluetooth LE through BlueZ: an adapter for each device; ADAPTER/ADAPTER: the "
                                                            "device comes back on the other one, under another address, after each reset")
    where.add_argument("--passkey", type=int, metavar="N", help="BLE: pairing as a device with a label does it, this number on it "
                                                                "(default: just works)")
    where.add_argument("--count", type=int, default=1, metavar="N", help="number of devices of each kind (default 1)")
    where.add_argument("--udp-count", type=int, metavar="N", help="number of devices on UDP ports")
    where.add_argument("--pty-count", type=int, metavar="N", help="number of serial devices; they come after those on UDP")
    run = parser.add_argument_group("Run")
    run.add_argument("--profile", default="default", choices=sorted(PROFILES), help="a set of options to start from")
    run.add_argument("--device", action="append", default=[], metavar="N:OPTION=VALUE,...",
                     help="options of one device, or of some (2-5:...); profile=NAME is possible too")
    run.add_argument("--scenario", metavar="FILE", help='JSON: {"all": {OPTION: VALUE}, "devices": {"N": {...}}}')
    run.add_argument("--events", metavar="FILE", help="append a line of JSON for each event")
    run.add_argument("--state", metavar="FOLDER", help="keep the flash of the devices there across restarts")
    run.add_argument("--control", metavar="PATH|udp:HOST:PORT", help="control channel")
    run.add_argument("--sysfs", metavar="FOLDER", help="describe the serial devices there as /sys describes USB devices")
    run.add_argument("--die-with-parent", action="store_true", help="end when the starting program ends")
    for title, options in TABLE.items():
        group = parser.add_argument_group(title)
        for name, (kind, default, text) in options.items():
            _add_option(group, name, kind, default, text)
    return parser


def _add_option(group, name, kind, default, text):
    settings = {"dest": "option:" + name, "default": argparse.SUPPRESS}
    if kind is boolean:
        group.add_argument("--" + name, nargs="?", const=True, metavar="yes|no", help=text, **settings)
    else:
        shown = "" if default in ("", 0, 0.0) else f" (default {default})"
        metavar = {"size": "N", "duration": "MS", "probability": "P", "scale": "X", "str": "TEXT"}.get(
            kind.__name__, kind.__name__ if "|" in kind.__name__ else "N")
        group.add_argument("--" + name, metavar=metavar, help=text.replace("%", "%%") + shown, **settings)


def _devices_of(text, count):
    first, dash, last = text.partition("-")
    try:
        numbers = range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise OptionError(f"'{text}' is neither a device nor a range of devices") from None
    if not numbers or numbers[-1] >= count:
        raise OptionError(f"there is no device {text}; there are {count}")
    return numbers


def settings_of(arguments, count):
    """[(profile, {option: value})], one for each device."""
    common = {name[7:]: convert(name[7:], value) for name, value in vars(arguments).items()
              if name.startswith("option:")}
    scenario = {}
    if arguments.scenario:
        with open(arguments.scenario, encoding="utf-8") as stream:
            scenario = json.load(stream)
        unknown = set(scenario) - {"all", "devices"}
        if unknown:
            raise OptionError(f"scenario: there is no member '{sorted(unknown)[0]}'")
    special = [(key, value) for key, value in scenario.get("devices", {}).items()]
    for text in arguments.device:
        key, colon, rest = text.partition(":")
        if not colon:
            raise OptionError(f"--device '{text}' is not N:OPTION=VALUE,...")
        profile = {"profile": part[8:] for part in rest.split(",") if part.startswith("profile=")}
        rest = ",".join(part for part in rest.split(",") if not part.startswith("profile="))
        special.append((key, {**profile, **parse_assignments(rest)}))
    result = [{"profile": arguments.profile, **common, **scenario.get("all", {})} for _ in range(count)]
    for key, values in special:
        for number in _devices_of(key, count):
            result[number].update(values)
    return [(values.pop("profile"), values) for values in result]


def make_reactor(arguments):
    if not arguments.ble:
        return Reactor()
    try:
        from .bluez import LoopReactor
    except ImportError as problem:
        raise OptionError(f"--ble needs Debian's python3-dbus and python3-gi ({problem})") from None
    return LoopReactor()


def make_ports(arguments, simulation):
    n_udp = (arguments.count if arguments.udp_count is None else arguments.udp_count) if arguments.udp else 0
    n_pty = (arguments.count if arguments.pty_count is None else arguments.pty_count) if arguments.pty else 0
    adapters = [text.split("/") for text in arguments.ble.split(",")] if arguments.ble else []
    if n_udp + n_pty + len(adapters) < 1:
        raise OptionError("give --udp HOST:PORT, --pty NAME or --ble ADAPTER: without one there is no device")
    if n_pty > 1 and "%d" not in arguments.pty and "{serial}" not in arguments.pty:
        raise OptionError("--pty needs a %d in the name when there is more than one device")
    sysfs = Sysfs(arguments.sysfs) if arguments.sysfs else None
    host, port = _host_and_port(arguments.udp) if n_udp else ("", 0)
    ble = make_bluez(arguments) if adapters else None
    for number, (profile, values) in enumerate(settings_of(arguments, n_udp + n_pty + len(adapters))):
        device = SmpDevice(number, Options(profile, **values), simulation.on_event, simulation.reactor.now())
        simulation.load(device)
        if number < n_udp:
            simulation.ports.append(UdpPort(simulation.reactor, device, host, port + number if port else 0))
        elif number >= n_udp + n_pty:
            simulation.ports.append(make_ble_port(simulation.reactor, ble, device, adapters[number - n_udp - n_pty]))
        else:
            name = arguments.pty.replace("%d", str(number)).replace("{serial}", device.serial)
            simulation.ports.append(SerialPort(simulation.reactor, simulation.openings, device, name, sysfs))


def make_bluez(arguments):
    from .bluez import Bluez
    bluez = Bluez()
    # A device without display and keys, or one whose passkey stands on its label.
    bluez.use_agent("NoInputNoOutput" if arguments.passkey is None else "KeyboardOnly", arguments.passkey or 0)
    return bluez


def make_ble_port(reactor, bluez, device, adapters):
    from .bluez import Peripheral
    from .ble_port import BlePort
    options = device.options
    return BlePort(reactor, device, [Peripheral(bluez, adapter, device.index, options.pairing, options.battery, options.adv_uuid)
                                     for adapter in adapters])


def _host_and_port(text):
    host, _, port = text.rpartition(":")
    try:
        return host.strip("[]") or "127.0.0.1", int(port)
    except ValueError:
        raise OptionError(f"--udp '{text}' is not HOST:PORT") from None


def _allow_many_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(max(soft, 3 * count + 64), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def announce(simulation, control):
    if control:
        print(json.dumps({"control": control.address()}))
    for port in simulation.ports:
        device = port.device
        image = device.running_image
        print(json.dumps({"device": device.index, **port.address(), "serial": device.serial,
                          "version": ".".join(map(str, image.version[:3])) if image else None,
                          "hash": image.hash.hex() if image else None,
                          "bytes_per_second": port.link.bytes_per_second()}))
    print(json.dumps({"ready": len(simulation.ports)}), flush=True)


def main(arguments=None):
    parser = build_parser()
    arguments = parser.parse_args(arguments)
    _allow_many_files(max(arguments.count, arguments.udp_count or 0) + (arguments.pty_count or 0))
    if arguments.die_with_parent:
        parent = os.getppid()
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
        if os.getppid() != parent:
            return 1
    try:
        if arguments.state:
            os.makedirs(arguments.state, exist_ok=True)
        simulation = Simulation(arguments.events, arguments.state, make_reactor(arguments))
        make_ports(arguments, simulation)
        control = open_control(simulation, arguments.control) if arguments.control else None
    except (OptionError, ImageError, OSError, ValueError) as problem:
        print(f"gatewayd-simulate: {problem}", file=sys.stderr)
        return 2
    simulation.reactor.stop_on_signals(signal.SIGTERM, signal.SIGINT)
    simulation.when_ready(lambda: announce(simulation, control))
    try:
        simulation.run()
    finally:
        simulation.close()
        if control:
            control.close()
    return 0
