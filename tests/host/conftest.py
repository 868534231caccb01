"""What the tests of the tools share: loop devices as real block devices, and a library that
makes a program's n-th write fail."""
import os
import pathlib

import pytest

from hosttools import check

SHIM_SOURCE = pathlib.Path(__file__).parent / "preload" / "fail_at.c"


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    out = tmp_path_factory.mktemp("shim") / "fail_at.so"
    check("gcc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", out, SHIM_SOURCE, "-ldl")
    return out


@pytest.fixture
def loop():
    """Attaches files to loop devices; detaches them in the end."""
    if os.geteuid() != 0:
        pytest.skip("needs root for loop devices")
    devices = []

    def attach(path, *options):
        devices.append(check("losetup", "-f", "--show", *options, path).strip())
        return devices[-1]

    yield attach
    for device in devices:
        check("losetup", "-d", device)
