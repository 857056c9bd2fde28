"""Checks spec/wire.cddl against spec/vectors.

Every valid vector must fit the CDDL; every vector that is refused because of its shape must not fit. (CDDL knows
nothing of canonical order, ranges between fields, signatures or chains: those vectors are left to the Rust tests.)

Needs pycddl (`pip install pycddl==0.6.4`). Exit status 1 with a line for each vector that disagrees.
"""

import json
import pathlib
import sys

from pycddl import Schema, ValidationError

SPEC = pathlib.Path(__file__).resolve().parents[2] / "spec"
CDDL = (SPEC / "wire.cddl").read_text()

# What a folder's bytes are; `as` in a vector's header says it where a folder holds several kinds.
FOLDERS = {
    "batch": "batch-envelope",
    "body": "open-body",
    "descriptor": "descriptor-envelope",
    "signatures": None,
}
AS = {"batch": "batch-envelope", "descriptor": "descriptor-envelope"}

# Rules that the CDDL states too.
SHAPE = {"missing-key", "unknown-key", "version"}

# What pycddl lets pass: in a list of several kinds of map, a key too many.
BEYOND = {"batch/open-unknown-key.txt"}


def read(path):
    """The header as a dictionary, and the bytes."""
    head, _, body = path.read_text().partition("\n\n")
    header = dict(line.split(": ", 1) for line in head.splitlines())
    digits = "".join(line.partition("#")[0] for line in body.splitlines())
    return header, bytes.fromhex("".join(digits.split()))


def index_pieces():
    """Name, verdict and bytes of the index blocks in sealed.json."""
    vectors = json.loads((SPEC / "vectors" / "sealed.json").read_text())
    yield "sealed.json: the part's index", "valid", bytes.fromhex(vectors["part"]["index"])
    for piece in vectors["pieces"]:
        if piece["as"] == "index":
            yield f"sealed.json: {piece['about']}", piece["expect"], bytes.fromhex(piece["bytes"])


def fits(schema, data):
    try:
        schema.validate_cbor(data)
    except (ValidationError, ValueError):
        return False
    return True


def main():
    schemas = {}
    checked, failures = 0, []
    for folder, kind in FOLDERS.items():
        for path in sorted((SPEC / "vectors" / folder).glob("*")):
            header, data = read(path)
            name = kind or AS.get(header.get("as", ""))
            refused = header["expect"] != "valid"
            beyond = str(path.relative_to(SPEC / "vectors")) in BEYOND
            if name is None or beyond or (refused and header["rule"] not in SHAPE):
                continue
            if name not in schemas:
                schemas[name] = Schema(f"start = {name}\n{CDDL}")
            checked += 1
            if fits(schemas[name], data) == refused:
                verb = "fits, but is refused" if refused else "does not fit, but is valid"
                failures.append(f"{path.relative_to(SPEC)}: {verb}")
    index = Schema(f"start = sealed-index\n{CDDL}")
    for name, expect, data in index_pieces():
        if expect in {"valid", "type"}:
            checked += 1
            if fits(index, data) != (expect == "valid"):
                failures.append(f"{name}: expected {expect}")
    print(f"wire.cddl: {checked} vectors checked, {len(failures)} disagree")
    for failure in failures:
        print(f"  {failure}")
    if not checked:
        print("  no vectors were found")
    return 1 if failures or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
