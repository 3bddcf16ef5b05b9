# SPDX-License-Identifier: Apache-2.0
"""The template for plugins (plugins/example) in the real daemon, from a folder of plugins made for it: neither the daemon of a build
nor an installed one loads it by itself."""

import hashlib
import os
import re
import shutil
import subprocess

import harness
import pytest


@pytest.fixture
def begin(gateway, tmp_path):
    """begin("[device ...]", "settings") -> a gateway whose only plugin is the example; plugin=: another file under that name"""

    def make(devices="", settings="", plugin=harness.BUILD / "plugins-example/example.so"):
        plugins = tmp_path / "plugins"
        plugins.mkdir(mode=0o755)
        shutil.copy(plugin, plugins / "example.so")
        (plugins / "example.so").chmod(0o755)
        gw = gateway(devices, settings, start=False)
        gw.config.write_text(re.sub(r"plugin_dir = .*", f"plugin_dir = {plugins}", gw.config.read_text()))
        return gw

    return make


@pytest.fixture
def firmware(tmp_path):
    """firmware("1.2.0", size) -> (path, its SHA-256, which is its image hash)"""

    def make(version="1.2.0", size=200_000, model="acme,folder"):
        content = f"gatewayd-example {version} {model}\n".encode() + os.urandom(size)
        path = tmp_path / f"folder-{version}"
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    return make


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "devices/kitchen"
    path.mkdir(parents=True)
    return path


def section(folder):
    return f"[device kitchen]\ndriver = example-file\npath = {folder}\nmodel = acme,folder\n"


def test_a_folder_is_updated(begin, firmware, folder):
    old, _ = firmware("1.1.0", 10)
    shutil.copy(old, folder / "firmware")
    path, image_hash = firmware()
    gw = begin(section(folder), "[plugin example]\nslice = 10K").start()
    gw.begin(path, {"ids": ["example-file:kitchen"]})
    job = gw.jobs()["example-file:kitchen"]
    assert (job["state"], job["result"], job["proof"]) == ("succeeded", "updated", "hash-active-confirmed")
    assert [step["name"] for step in job["steps"]] == ["write", "activate", "verify"]
    assert (job["version_before"], job["version_after"], job["hash_after"]) == ("1.1.0", "1.2.0", image_hash)
    assert harness.sha256_of(folder / "firmware") == image_hash
    gw.begin(path, {"ids": ["example-file:kitchen"]}, name="c2")
    assert gw.jobs("c2")["example-file:kitchen"]["result"] == "already"


def test_kill_in_the_middle_of_the_copy(begin, firmware, folder):
    """Goes on where the journal says, in slices so small that the kill meets one."""
    path, image_hash = firmware("1.2.0", 400_000)
    gw = begin(section(folder), "[plugin example]\nslice = 1K").start()
    gw.begin(path, {"ids": ["example-file:kitchen"]})
    gw.wait_event(lambda params, method: "'write'" in str(params), progress=True)
    gw.kill()
    assert not (folder / "firmware").exists()
    gw.start()
    job = gw.jobs()["example-file:kitchen"]
    assert (job["state"], job["result"], job["hash_after"]) == ("succeeded", "updated", image_hash)
    assert [step["name"] for step in job["steps"]][-2:] == ["activate", "verify"]


def test_a_scan_finds_folders_and_a_person_adopts(begin, firmware, folder):
    old, old_hash = firmware("1.1.0", 10)
    shutil.copy(old, folder / "firmware")
    path, _ = firmware()
    gw = begin(settings=f"[plugin example]\nfolders = {folder.parent}").start()
    assert "example-file:kitchen" in str(gw.call("device.scan", {}))
    gw.call("device.adopt", {"id": "example-file:kitchen", "model": "acme,folder"})
    gw.begin(path, {"ids": ["example-file:kitchen"]})
    job = gw.jobs()["example-file:kitchen"]
    assert (job["result"], job["hash_before"]) == ("updated", old_hash)


def test_a_file_for_other_hardware_is_refused(begin, firmware, folder):
    path, _ = firmware(model="acme,other")
    gw = begin(section(folder)).start()
    gw.begin(path, {"ids": ["example-file:kitchen"]})
    job = gw.jobs()["example-file:kitchen"]
    assert (job["state"], job["error"]["name"]) == ("rejected", "incompatible")
    assert list(folder.iterdir()) == []


def test_it_is_not_loaded_where_nobody_asked_for_it(gateway):
    assert not (harness.PLUGINS / "example.so").exists()


OUT_OF_TREE = ["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-fPIC", "-fvisibility=hidden", "-shared", f"-I{harness.ROOT}/include"]


def test_it_builds_outside_of_the_tree(begin, firmware, folder, tmp_path):
    """With nothing but its own folder and the one header, as docs/PLUGINS.md says."""
    copy = tmp_path / "acme"
    shutil.copytree(harness.ROOT / "plugins/example", copy)
    sources = [str(path) for path in copy.glob("*.c") if not path.name.endswith("_test.c")]
    subprocess.run([*OUT_OF_TREE, "-o", str(tmp_path / "acme.so"), *sources], check=True)
    path, _ = firmware()
    gw = begin(section(folder), plugin=tmp_path / "acme.so").start()
    gw.begin(path, {"ids": ["example-file:kitchen"]})
    assert gw.jobs()["example-file:kitchen"]["result"] == "updated"


def left_out(gw):
    """Error name of the plugin, as the log has it."""
    gw.start()
    return re.findall(r"plugin example is left out: .*error=([a-z-]+)", gw.log())


def test_what_the_loader_refuses(begin, tmp_path):
    gw = begin()
    plugin = tmp_path / "plugins/example.so"
    plugin.chmod(0o775)
    assert left_out(gw) == ["plugin-writable"]


@pytest.mark.parametrize("source, name", [
    ("int nothing;", "plugin-symbol-missing"),
    ("extern int missing(void); int call(void); int call(void) { return missing(); }", "plugin-load-failed"),
    ('#include <gatewayd/plugin.h>\nGW_PLUGIN_EXPORT(x) = { .abi = GW_ABI + 1, .size = sizeof(struct gw_plugin) };', "plugin-abi"),
    ('#include <gatewayd/plugin.h>\nstatic int load(const struct gw_host *h, void **r, struct gw_error *e) { (void) h, (void) e; *r = 0; return 0; }\n'
     'static void unload(void *p) { (void) p; }\nGW_PLUGIN_EXPORT(x) = { .abi = GW_ABI, .size = sizeof(struct gw_plugin), .name = "other",'
     ' .version = "1", .load = load, .unload = unload };', "plugin-name"),
])
def test_files_that_the_loader_refuses(begin, tmp_path, source, name):
    (tmp_path / "wrong.c").write_text(source)
    subprocess.run([*OUT_OF_TREE, "-o", str(tmp_path / "wrong.so"), str(tmp_path / "wrong.c")], check=True)
    assert left_out(begin(plugin=tmp_path / "wrong.so")) == [name]


def test_the_commands_of_the_manual(tmp_path):
    """What docs/PLUGINS.md asks to paste, pasted."""
    manual = (harness.ROOT / "docs/PLUGINS.md").read_text()
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", manual, re.DOTALL))
    assert "gatewayctl" in commands
    environment = dict(os.environ, BUILD=str(harness.BUILD), WORK=str(tmp_path / "work"))
    done = subprocess.run(["timeout", str(harness.PATIENCE_S), "bash", "-eu", "-c", commands], cwd=harness.ROOT, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hash-active-confirmed" in done.stdout, done.stdout + done.stderr
