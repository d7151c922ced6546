# SPDX-License-Identifier: GPL-2.0-only
"""Reports scenarios as KTAP: each is a test whose subtests are the checks made in it, printed as they are made."""


class Report:
    """The checks of one scenario."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def check(self, name, held, detail=None):
        """One check; `detail` is what a person needs to see where it did not hold."""
        self.count += 1
        if not held:
            self.failed += 1
            if detail is not None:
                self.note(detail)
        print(f"    {'' if held else 'not '}ok {self.count} - {name}", flush=True)

    def equal(self, name, found, wanted):
        self.check(name, found == wanted, f"found {found!r}, not {wanted!r}")

    def matches(self, name, text, pattern):
        self.check(name, pattern.search(text) is not None, f"{pattern.pattern!r} was not found in:\n{text}")

    def note(self, text):
        """Something to read, which is no result."""
        for line in str(text).splitlines():
            print(f"    # {line}", flush=True)

    def plan(self):
        print(f"    1..{self.count}", flush=True)
