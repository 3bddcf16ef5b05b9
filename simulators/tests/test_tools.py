# SPDX-License-Identifier: Apache-2.0
"""make-image and link-limit."""
import json
import os
import subprocess
import zipfile

import pytest
from gwsim.image import Content, Image, Verifier, make_image, parse_version, ImageError

HERE = os.path.dirname(os.path.realpath(__file__))


def tool(name, *arguments, status=0):
    done = subprocess.run([os.path.join(HERE, "..", name), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def test_reads_images_of_the_real_tool(data):
    with open(f"{data}/mcuboot/vector-ed25519.bin", "rb") as stream:
        image = Image(stream.read())
    assert image.version == (1, 2, 3, 4) and image.size == 252
    assert image.hash.hex() == "a3e23335aa1c7923929b6ae6cf974b9121001e88e37c022743a6815fa05afee9"


def test_makes_what_the_real_tool_makes(data):
    """Everything but the body, which is ours."""
    with open(f"{data}/mcuboot/app-1.0.0-sha256.bin", "rb") as stream:
        real = stream.read()
    ours = make_image("1.0.0", 200 * 1024, 0x200)
    assert len(ours) == len(real) and ours[:0x200] == real[:0x200] and ours[-40:-32] == real[-40:-32]
    assert Content.of(ours).boot_problem() == "" and Content.of(real).boot_problem() == ""


def test_image(tmp_path):
    path = tmp_path / "app.bin"
    said = tool("make-image", "-o", path, "--version", "2.1.0+7", "--size", "10K", "--header-size", "0x20", "--depend",
                "1:1.5.0", "--security-counter", "3", "--seed", "other")
    image = Image(path.read_bytes())
    assert said == {"file": str(path), "size": os.path.getsize(path), "version": "2.1.0+7", "hash": image.hash.hex()}
    assert image.version == (2, 1, 0, 7) and image.header_size == 32 and image.body_size == 10240
    assert image.dependencies() == [(1, (1, 5, 0, 0))]
    assert "out of range" in tool("make-image", "-o", path, "--version", "256.0.0", status=1)
    tool("make-image", "-o", path, "--size", "1K", "--pad", "8K", "--confirm")
    assert os.path.getsize(path) == 8192


def test_signed_image(tmp_path, data):
    pytest.importorskip("cryptography")
    for key in ("ed25519", "p256"):
        pem = f"{data}/mcuboot/{key}.pem"
        tool("make-image", "-o", tmp_path / "app.bin", "--sign", pem)
        with open(pem, "rb") as stream:
            verifier = Verifier(stream.read())
        content = Content.of((tmp_path / "app.bin").read_bytes())
        assert content.boot_problem(verifier) == ""


def test_package(tmp_path):
    for name, version in (("app", "1.1.0"), ("net", "2.0.0")):
        tool("make-image", "-o", tmp_path / f"{name}.bin", "--version", version)
    for _ in range(2):
        tool("make-image", "--package", tmp_path / "dfu.zip", "--file", f"0:{tmp_path}/app.bin", "--file",
             f"1:{tmp_path}/net.bin", "--board", "b")
    with zipfile.ZipFile(tmp_path / "dfu.zip") as package:
        manifest = json.loads(package.read("manifest.json"))
        assert package.read("net.bin") == (tmp_path / "net.bin").read_bytes()
    assert manifest["format-version"] == 1
    assert [(entry["image_index"], entry["file"], entry["version_MCUBOOT"], entry["board"]) for entry in manifest["files"]] \
        == [("0", "app.bin", "1.1.0+0", "b"), ("1", "net.bin", "2.0.0+0", "b")]
    tool("make-image", "--package", tmp_path / "xip.zip", "--file", f"0/1:{tmp_path}/app.bin")
    with zipfile.ZipFile(tmp_path / "xip.zip") as package:
        entry = json.loads(package.read("manifest.json"))["files"][0]
    assert entry["slot"] == "1" and entry["version_MCUBOOT+XIP"] == "1.1.0+0"


def test_versions():
    assert parse_version("1.2.3.4") == parse_version("1.2.3+4") == (1, 2, 3, 4)
    assert parse_version("1") == (1, 0, 0, 0)
    for wrong in ("", "a", "1.2.3.4.5", "1.2.3+x", "-1.0.0"):
        with pytest.raises(ImageError):
            parse_version(wrong)


def test_link_limit():
    said = tool("link-limit", "--options", "latency-ms=25,buf-count=8", "--window", "4")
    assert said["bytes_per_second"] > 100000
    assert "no option" in tool("link-limit", "--options", "warp=9", status=1)
