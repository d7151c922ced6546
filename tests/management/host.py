# SPDX-License-Identifier: GPL-2.0-only
"""The host that is managed: its programs, its cards, and what there is on it, so that it can be compared."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time

PATIENCE = 180
"""Seconds that anything may take. Nothing here takes long; the machine that it runs on may be slow."""

DEVICES = pathlib.Path("/sys/bus/mdev/devices")
PARENTS = pathlib.Path("/sys/class/mdev_bus")
PCI = pathlib.Path("/sys/bus/pci")
SOFTWARE = "migdev"
"""The parent that is no card."""

TWO_PORTS = "migdev-serial2"
ONE_PORT = "migdev-serial1"
LOCAL = "migdev-serial1-local"
"""The type that does not migrate."""

STATE = ["/run/libvirt/qemu", "/var/lib/libvirt", "/etc/libvirt", "/etc/mdevctl.d", "/run/migdev"]
"""Where libvirt, mdevctl and the hook keep what they know."""


class Failure(Exception):
    """Something that did not come about."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command did."""

    command: str
    status: int
    output: str
    errors: str

    def __str__(self):
        said = "".join(f"  {line}\n" for line in (self.output + self.errors).splitlines() if line)
        return f"{self.command}: status {self.status}\n{said}"


def attempt(*command, text=None):
    """Run a command, which may fail; `text` is its standard input."""
    done = subprocess.run(command, input=text or "", capture_output=True, text=True, timeout=PATIENCE, check=False)
    return Result(" ".join(command), done.returncode, done.stdout, done.stderr)


def run(*command, text=None):
    """Run a command that must succeed; returns its output."""
    result = attempt(*command, text=text)
    if result.status:
        raise Failure(str(result))
    return result.output


def until(condition, what, patience=PATIENCE):
    """Wait until `condition` holds; returns what it is then."""
    end = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > end:
            raise Failure(f"waited {patience} seconds for {what}")
        time.sleep(0.1)
    return value


def virsh(*arguments, text=None):
    """virsh with a command that must succeed; returns its output."""
    return run("virsh", "--quiet", *arguments, text=text)


def try_virsh(*arguments, text=None):
    return attempt("virsh", "--quiet", *arguments, text=text)


def words(output):
    return sorted(output.split())


def start():
    """The daemons, as a host's first process would start them."""
    for path in "/run/libvirt", "/var/log/libvirt/qemu", "/var/lib/libvirt/qemu", "/var/cache/libvirt/qemu":
        os.makedirs(path, exist_ok=True)
    run("/usr/lib/systemd/systemd-udevd", "--daemon")
    run("udevadm", "trigger")
    run("udevadm", "settle")
    run("virtlogd", "--daemon")
    run("libvirtd", "--daemon")
    until(lambda: try_virsh("version").status == 0, "libvirtd to answer")


def cards():
    """The addresses of the PCI cards that are parents."""
    return sorted(path.name for path in PARENTS.iterdir() if path.name != SOFTWARE)


def parents():
    return [*cards(), SOFTWARE]


def node(address):
    """What libvirt calls a PCI device."""
    return "pci_" + address.replace(":", "_").replace(".", "_")


def type_of(parent, kind):
    """A type's directory."""
    return PARENTS / parent / "mdev_supported_types" / kind


def instances(parent, kind):
    return int((type_of(parent, kind) / "available_instances").read_text())


def string_of(path):
    """The version string of a type or a device, given its directory."""
    return (path / "migration_version").read_text().strip()


def create(parent, kind, uuid):
    """A device, by the kernel's own file."""
    (type_of(parent, kind) / "create").write_text(uuid)
    return DEVICES / uuid


def remove(uuid):
    (DEVICES / uuid / "remove").write_text("1")


def devices():
    """The devices that exist: for each UUID its parent and type."""
    found = {}
    for path in DEVICES.iterdir():
        real = path.resolve()
        found[path.name] = f"{real.parent.name}/{(real / 'mdev_type').resolve().name}"
    return found


def forget_definitions(parent):
    """The directory that mdevctl leaves when the last device that it had for a parent is undefined."""
    (pathlib.Path("/etc/mdevctl.d") / parent).rmdir()


def files():
    """The files and directories where state is kept."""
    return sorted(
        str(path)
        for top in STATE
        for path in pathlib.Path(top).rglob("*")
        # The hook's lock stays, and libvirt's library of capabilities is no state.
        if path.name != "lock"
    )


def snapshot():
    """All that a refusal must leave as it was."""
    return {
        "devices": devices(),
        "available instances": {
            f"{parent}/{kind}": instances(parent, kind)
            for parent in parents()
            for kind in (ONE_PORT, TWO_PORTS, LOCAL)
        },
        "libvirt's node devices": words(virsh("nodedev-list", "--all", "--cap", "mdev")),
        "libvirt's domains": virsh("list", "--all").split("\n"),
        "mdevctl's definitions": json.loads(run("mdevctl", "list", "--defined", "--dumpjson")),
        "files": files(),
        "QEMUs": words(attempt("pgrep", "qemu-system").output),
    }


def differences(before, after):
    """What of two snapshots is not the same, in words."""
    return [f"{name}: {before[name]} became {after[name]}" for name in before if before[name] != after[name]]


def check_unchanged(report, before, name="nothing is left behind"):
    """libvirt learns of devices by events of the kernel, so this waits for it."""
    try:
        until(lambda: not differences(before, snapshot()), "it", patience=60)
    except Failure:
        pass
    report.equal(name, differences(before, snapshot()), [])


def install(tree):
    """Lay an installation's files over this host's."""
    shutil.copytree(tree, "/", symlinks=True, dirs_exist_ok=True)


@contextlib.contextmanager
def baseline(parents_, value, kind=TWO_PORTS):
    """The type of these parents held at a value; not held for None."""
    with contextlib.ExitStack() as stack:
        for parent in parents_ if value else []:
            path = type_of(parent, kind) / "migration_baseline"
            stack.callback(path.write_text, path.read_text())
            path.write_text(value)
        yield
