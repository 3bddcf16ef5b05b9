#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree against the rules of docs/ARCHITECTURE.md: who may include whom, which library is used where, and that
every source carries the licence line. Prints each breach; exit 1 if there is one. (Error names: gatewayd/base/error_names_test.c.)"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOORS = ["base", "config", "loop", "store", "trust", "document", "artifact", "ble", "driver", "fleet", "update", "plugin", "api"]
LIBRARIES = {  # header pattern -> where it may be included
    r"uv\.h": [r"gatewayd/loop/"],
    r"curl/": [r"gatewayd/loop/"],
    r"mosquitto\.h": [r"gatewayd/loop/"],
    r"systemd/sd-bus\.h": [r"gatewayd/loop/", r"gatewayd/ble/"],
    r"systemd/sd-(journal|daemon|id128)\.h": [r"gatewayd/base/"],
    r"sqlite3\.h": [r"gatewayd/store/"],
    r"openssl/": [r"gatewayd/trust/", r"plugins/common/"],
    r"json-c/|json\.h$": [r"gatewayd/base/json"],
    r"cbor\.h": [r"plugins/common/"],
    r"zip\.h": [r"plugins/common/"],
}
GATEWAYCTL_FLOORS = {"base", "config", "loop", "trust", "document"}

breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}")


def sources():
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [pathlib.PurePosixPath(p) for p in out.splitlines() if (ROOT / p).is_file()]


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if match:
            yield number, match.group(1), match.group(2)


def is_test(path):
    return path.name.endswith("_test.c") or path.parts[0] == "tests" or "test_support" in path.name


def check_floors(path, text):
    parts = path.parts
    if parts[0] == "gatewayd" and len(parts) > 2 and parts[1] in FLOORS:
        own = FLOORS.index(parts[1])
        for number, _, name in includes(text):
            floor = name.split("/")[0]
            if floor in FLOORS and FLOORS.index(floor) > own and not is_test(path):
                breach(path, number, f"floor {parts[1]} includes the higher floor {floor}")
    if parts[0] == "plugins":
        for number, quote, name in includes(text):
            local = quote == '"' and ((ROOT / path).parent / name).exists()
            allowed = name == "gatewayd/plugin.h" or name.startswith("common/") or local
            if parts[1] == "common" or is_test(path):
                allowed = allowed or name.startswith("base/")
            if (quote == '"' or name.startswith("gatewayd/")) and not allowed:
                breach(path, number, f"a plugin may include <gatewayd/plugin.h> and common/ only, not {name}")
    if parts[0] == "gatewayctl":
        for number, _, name in includes(text):
            floor = name.split("/")[0]
            if floor in FLOORS and floor not in GATEWAYCTL_FLOORS:
                breach(path, number, f"gatewayctl may not use the floor {floor}")


def check_libraries(path, text):
    if is_test(path):
        return
    for number, quote, name in includes(text):
        if quote != "<":
            continue
        for pattern, places in LIBRARIES.items():
            if re.match(pattern, name) and not any(re.match(place, str(path)) for place in places):
                breach(path, number, f"<{name}> may be used only in {', '.join(places)}")


def check_licence(path, text):
    if not any("SPDX-License-Identifier: Apache-2.0" in line for line in text.splitlines()[:3]):
        breach(path, 1, "no SPDX line")


def check_places(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"(?<![\w.])/(work|root|home/\w+)/", line):
            breach(path, number, "names a path of one machine")


def main():
    for path in sources():
        code = path.suffix in (".c", ".h", ".def")
        script = path.suffix in (".py", ".sh", ".cmake") or path.name in ("CMakeLists.txt", "dev", "run")
        if not (code or script):
            continue
        text = (ROOT / path).read_text(errors="replace")
        check_licence(path, text)
        if path.name != "check_structure.py":
            check_places(path, text)
        if code:
            check_floors(path, text)
            check_libraries(path, text)
    print("\n".join(breaches) if breaches else "structure: no breach")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
