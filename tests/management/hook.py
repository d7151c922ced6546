# SPDX-License-Identifier: GPL-2.0-only
"""libvirt's hook called by itself, as libvirt calls it, where libvirt cannot be brought to do so on purpose: many at once,
a device that somebody has open, signals, an output that cannot be written.

libvirt looks at a device some time after the kernel told it of one. A device that is gone by then may stay in libvirt's list
(seen with 11.3), so that list is none of what is compared here, and these scenarios come last."""

import contextlib
import pathlib
import re
import signal
import subprocess
import uuid

import host
from host import DEVICES, TWO_PORTS, attempt

HOOK = "/etc/libvirt/hooks/qemu.d/50-migdev"
CONFIGURATION = pathlib.Path("/etc/migdev/libvirt-hook.toml")
LOCK = pathlib.Path("/run/migdev/lock")
MANY = 8


class Domain:
    """One that comes to this host, with devices that it had where it comes from."""

    def __init__(self, name, source, strings):
        self.name = name
        pairs = [(str(uuid.UUID(int=uuid.UUID(source).int + number)), string) for number, string in enumerate(strings)]
        stamps = "".join(f"<migdev:device uuid='{each}' version='{string}'/>" for each, string in pairs)
        mdevs = "".join(
            f"<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='{each}'/></source></hostdev>"
            for each, _ in pairs
        )
        self.xml = (
            f"<domain type='qemu'><name>{name}</name><uuid>{uuid.uuid4()}</uuid><metadata><migdev:migration "
            f"xmlns:migdev='urn:migdev:libvirt:1'>{stamps}</migdev:migration></metadata><devices>{mdevs}</devices></domain>"
        )

    def begin(self, operation="restore", output=subprocess.PIPE):
        """The hook that lets it in, running."""
        process = subprocess.Popen(
            [HOOK, self.name, operation, "begin", "-"], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, text=True
        )
        process.stdin.write(self.xml)
        process.stdin.close()
        process.stdin = None
        return process

    def come(self, operation="restore"):
        """The devices that the hook gave it, and its complaint where it gave none."""
        return self.outcome(self.begin(operation))

    def outcome(self, process):
        output, errors = process.communicate(timeout=host.PATIENCE)
        if process.returncode:
            return [], errors
        return re.findall("<address uuid='([^']*)'", output or self.xml), errors

    def go(self):
        """The hook that is called once it has ended."""
        return attempt(HOOK, self.name, "release", "end", "-", text=self.xml)


def string():
    return host.string_of(host.type_of(host.cards()[0], TWO_PORTS))


def snapshot():
    return {name: value for name, value in host.snapshot().items() if name != "libvirt's node devices"}


def check_unchanged(report, before, name="nothing is left behind"):
    report.equal(name, host.differences(before, snapshot()), [])


@contextlib.contextmanager
def configured(text):
    """The hook's configuration, for a while."""
    old = CONFIGURATION.read_text()
    CONFIGURATION.write_text(text)
    try:
        yield
    finally:
        CONFIGURATION.write_text(old)


def many(source):
    return [Domain(f"many-{number}", source, [string()]) for number in range(MANY)]


def at_once(domains):
    """What each is given, when all come together."""
    running = [(each, each.begin("migrate")) for each in domains]
    return [each.outcome(process) for each, process in running]


def creates_at_once(_, report):
    before = snapshot()
    domains = many(str(uuid.uuid4()))
    outcomes = at_once(domains)
    report.equal("each has a device", [len(given) for given, _ in outcomes], [1] * MANY)
    report.equal("no two have the same", len({each for given, _ in outcomes for each in given}), MANY)
    report.equal("and there are no others", len(host.devices()), len(before["devices"]) + MANY)
    for each in domains:
        report.equal(f"{each.name} goes", each.go().status, 0)
    check_unchanged(report, before)


def finds_at_once(_, report):
    before = snapshot()
    made = [host.create(host.cards()[0], TWO_PORTS, str(uuid.uuid4())).name for _ in range(MANY // 2)]
    domains = many(str(uuid.uuid4()))
    with configured("create = false\n"):
        outcomes = at_once(domains)
    given = sorted(each for given, _ in outcomes for each in given)
    report.equal("each device is given to one of them", given, sorted(made))
    complaints = [errors for given, errors in outcomes if not given]
    report.equal("the others are refused", len(complaints), MANY - len(made))
    report.check("since others are coming", all("that is coming here" in each for each in complaints), complaints)
    for each in domains:
        each.go()
    report.check("devices that the hook did not make stay", set(made) <= set(host.devices()))
    for each in made:
        host.remove(each)
    check_unchanged(report, before)


def respects_users(_, report):
    """The group's file, as QEMU opens it, and the device's own."""
    before = snapshot()
    identifier = str(uuid.uuid4())
    device = host.create(host.cards()[0], TWO_PORTS, identifier)
    comes = Domain("second", identifier, [string()])
    group = (device / "iommu_group").resolve().name
    own, = (device / "vfio-dev").iterdir()
    with configured("create = false\n"):
        for path in pathlib.Path("/dev/vfio") / group, pathlib.Path("/dev/vfio/devices") / own.name:
            with path.open("r+b", buffering=0):
                given, errors = comes.come()
                report.equal(f"a device is not given while {path} is open", given, [])
                report.check("and who has it is told", "it is in use by process" in errors, errors)
        given, errors = comes.come()
    report.equal("it is given once it is free", (given, errors), ([identifier], ""))
    comes.go()
    report.check("and stays, as the hook did not make it", identifier in host.devices())
    host.remove(identifier)
    check_unchanged(report, before)


def takes_back(_, report):
    """All the ways in which it can go wrong after a device was made."""
    before = snapshot()
    fits, other = string(), string().replace("ports=eq:2", "ports=eq:3")
    given, errors = Domain("half", str(uuid.uuid4()), [fits, fits, other]).come()
    report.equal("a domain is refused for its third device", given, [])
    report.check("and the field is named", "param.ports: source eq:3" in errors, errors)
    check_unchanged(report, before)

    # The name of the source's device is taken, so that there is something to be told.
    identifier = str(uuid.uuid4())
    host.create(host.cards()[0], host.LOCAL, identifier)
    before = snapshot()
    with open("/dev/full", "w", encoding="ascii") as full:
        process = Domain("mute", identifier, [fits]).begin(output=full)
        _, errors = process.communicate(timeout=host.PATIENCE)
    report.check("the hook fails where it cannot tell what it did", process.returncode != 0)
    report.check("and says so", "No space left on device" in errors, errors)
    check_unchanged(report, before)
    host.remove(identifier)


def has_open(process, path):
    return any(each.resolve() == path for each in pathlib.Path(f"/proc/{process.pid}/fd").iterdir())


def ends_by_signal(_, report):
    before = snapshot()
    with subprocess.Popen(["flock", str(LOCK), "sleep", str(host.PATIENCE)]) as holder:
        host.until(lambda: attempt("flock", "--nonblock", str(LOCK), "true").status, "the lock to be taken")
        process = Domain("patient", str(uuid.uuid4()), [string()]).begin()
        host.until(lambda: process.poll() is not None or has_open(process, LOCK), "the hook to come to the lock")
        report.equal("the hook waits for another", process.poll(), None)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=host.PATIENCE)
        report.check("a signal ends it", process.returncode != 0)
        report.check("and it says so", "a signal asked the hook to end" in errors, errors)
        attempt("pkill", "--parent", str(holder.pid))
    check_unchanged(report, before)


def creates_on_start(_, report):
    before = snapshot()
    identifier = str(uuid.uuid4())
    starts = Domain("starting", identifier, [string()])
    report.equal("a start passes", starts.come("prepare"), ([identifier], ""))
    check_unchanged(report, before, "and by default nothing is made for it")
    with configured("create-on-start = true\n"):
        report.equal("a start passes", starts.come("prepare"), ([identifier], ""))
        report.check("with the device that was missing, where that is configured", identifier in host.devices())
        starts.go()
    check_unchanged(report, before, "which is gone with the domain")
