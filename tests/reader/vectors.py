"""What every reader here needs: the vectors, and a report that ends the program."""

import json
import pathlib
import sys

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "spec" / "vectors"


def load(name):
    """The vectors of a file, as JSON has them."""
    return json.loads((VECTORS / name).read_text())


class Report:
    """Counts checks, keeps what differs, and says both in one line (and one for each difference)."""

    def __init__(self, name):
        self.name = name
        self.checks = 0
        self.differences = []

    def check(self, holds, about):
        self.checks += 1
        if not holds:
            self.differences.append(about)

    def finish(self):
        """Prints, and exits: 0 if something was checked and nothing differs."""
        print(f"{self.name}: {self.checks} checks, {len(self.differences)} differ")
        for difference in self.differences:
            print(f"  {difference}")
        sys.exit(1 if self.differences or not self.checks else 0)


class Refused(Exception):
    """A broken rule, by its name in the spec."""
