# SPDX-License-Identifier: GPL-2.0-only
"""mdevctl: a device that is defined with the string of a source is started only where it can take that source's state.

There are two gates. mdevctl itself writes the attribute `migration_version` once the device exists, and stops the
device when the kernel refuses. The callout asks before there is a device, and says why in words."""

import contextlib
import json
import pathlib
import uuid

import host
from card import KernelLog
from host import DEVICES, TWO_PORTS, attempt, run
from nodedev import WRONG

CALLOUTS = pathlib.Path("/usr/lib/mdevctl/scripts.d/callouts")
ATTRIBUTE = "migration_version"


@contextlib.contextmanager
def without_callout():
    """mdevctl as it is when our callout is not installed."""
    away = pathlib.Path("/tmp/callouts")
    callouts = list(CALLOUTS.iterdir())
    away.mkdir()
    for path in callouts:
        run("mv", str(path), str(away))
    try:
        yield
    finally:
        for path in callouts:
            run("mv", str(away / path.name), str(path))
        away.rmdir()


def define(parent, identifier, string=None, kind=TWO_PORTS):
    run("mdevctl", "define", "--uuid", identifier, "--parent", parent, "--type", kind)
    if string is not None:
        modify = ("mdevctl", "modify", "--uuid", identifier, "--parent", parent)
        run(*modify, "--addattr", ATTRIBUTE, "--value", string)


def undefine(parent, identifier):
    run("mdevctl", "undefine", "--uuid", identifier, "--parent", parent)


def start(parent, identifier):
    return attempt("mdevctl", "start", "--uuid", identifier, "--parent", parent)


def listed(*options):
    """What mdevctl lists: each device's parent, type and attributes by its UUID."""
    found = {}
    for parents in json.loads(run("mdevctl", "list", "--dumpjson", *options)):
        for parent, devices in parents.items():
            for device in devices:
                for identifier, its in device.items():
                    attributes = {name: value for each in its["attrs"] for name, value in each.items()}
                    found[identifier] = (parent, its["mdev_type"], attributes)
    return found


def was_made(log, identifier):
    """Whether the kernel had such a device since the log was last read."""
    return any(f"{identifier}: Adding to iommu group" in line for line in log.lines())


def lists_types(_, report):
    found = {
        parent: sorted(kind for each in kinds for kind in each)
        for parents in json.loads(run("mdevctl", "types", "--dumpjson"))
        for parent, kinds in parents.items()
    }
    wanted = dict.fromkeys(host.parents(), sorted([host.ONE_PORT, host.TWO_PORTS, host.LOCAL]))
    report.equal("mdevctl lists the types of each card and of the software parent", found, wanted)


def starts(_, report):
    before = host.snapshot()
    for parent in host.cards()[0], host.SOFTWARE:
        identifier = str(uuid.uuid4())
        string = host.string_of(host.type_of(parent, TWO_PORTS))
        define(parent, identifier, string)
        pinned = (parent, TWO_PORTS, {ATTRIBUTE: string})
        report.equal(f"{parent}: a definition with a pinned string", listed("--defined"), {identifier: pinned})
        result = start(parent, identifier)
        report.equal("is started where it fits", (result.status, result.errors), (0, ""))
        report.equal("as what it was defined", host.devices().get(identifier), f"{parent}/{TWO_PORTS}")
        report.equal("the device reports its string in the list", listed().get(identifier), pinned)
        run("mdevctl", "stop", "--uuid", identifier)
        report.equal("stopped, it is gone", host.devices(), before["devices"])
        undefine(parent, identifier)
        host.forget_definitions(parent)
    host.check_unchanged(report, before, "undefined, all is as before")


def gate(report, log, string, held=None):
    """A definition with this string is not started; `held` is what its type is held at meanwhile."""
    before = host.snapshot()
    card, identifier = host.cards()[0], str(uuid.uuid4())
    define(card, identifier, string)
    log.lines()
    with host.baseline([card], held):
        refused = start(card, identifier)
    report.check("its start fails", refused.status != 0, refused)
    report.note(refused.errors)
    made = was_made(log, identifier)
    report.equal("there is no device", host.devices(), before["devices"])
    undefine(card, identifier)
    host.forget_definitions(card)
    host.check_unchanged(report, before)
    return refused, made


def gate_of_attributes(_, report):
    with without_callout():
        _, made = gate(report, KernelLog(), WRONG)
    report.check("mdevctl had made the device, and ended it", made)


def callout_refuses(_, report):
    refused, made = gate(report, KernelLog(), WRONG)
    report.check("before a device was made", not made)
    report.check("and the field is named", "vendor" in refused.errors, refused)


def callout_refuses_newer(_, report):
    string = host.string_of(host.type_of(host.cards()[0], TWO_PORTS))
    refused, made = gate(report, KernelLog(), string, held="abi=1.0,stream=1")
    report.check("before a device was made", not made)
    report.check("and the field is named", "abi" in refused.errors, refused)


def reports_unpinned(_, report):
    """A device that nobody defined."""
    parent, identifier = host.SOFTWARE, str(uuid.uuid4())
    host.create(parent, TWO_PORTS, identifier)
    string = host.string_of(DEVICES / identifier)
    report.equal("it is listed with its string", listed().get(identifier), (parent, TWO_PORTS, {ATTRIBUTE: string}))
    host.remove(identifier)
