"""Reads the exports under spec/vectors/gaen-export with nothing of ours.

A valid vector is opened by Python's zip reader, both its messages are decoded by `protoc`, it has as many keys as its
header says, and `openssl` finds a signature of `signer.pem` over `export.bin`. Of a vector that breaks `signature` alone,
`openssl` finds none. `written` says what it was written of. Exit status 1 with a line for each that differs.
"""

import ast
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "spec/vectors/gaen-export"

# What the vector `written` is made of (node/tests/gaen_export/writing.rs): key byte, risk, start, period, type, onset.
WRITTEN = {
    "keys": [
        (0x01, 0, 0, None, None, None),
        (0x80, 0, 2**31 - 145, None, "CONFIRMED_CLINICAL_DIAGNOSIS", 14),
        (0xFE, 8, 2960000, 1, "SELF_REPORT", -14),
    ],
    "revised_keys": [(0x03, 0, 2960000, None, "REVOKED", 0)],
}


def read(path):
    header, digits = path.read_text().split("\n\n", 1)
    return dict(line.split(": ", 1) for line in header.split("\n")), bytes.fromhex(digits)


def decode(message, kind):
    command = ["protoc", f"--decode={kind}", "--proto_path=spec", "spec/gaen-export.proto"]
    return subprocess.run(command, input=message, capture_output=True, check=True, cwd=ROOT).stdout.decode()


def literal(text):
    """A quoted byte string of protoc's text form, whose escapes are Python's."""
    return ast.literal_eval("b" + text)


def signed(export, signatures):
    """Whether openssl finds one of the signatures to be the signer's."""
    with tempfile.TemporaryDirectory() as folder:
        content, signature = Path(folder, "export.bin"), Path(folder, "signature")
        content.write_bytes(export)
        for found in re.findall(r'^  signature: (".*")$', signatures, re.MULTILINE):
            signature.write_bytes(literal(found))
            command = ["openssl", "dgst", "-sha256", "-verify", FOLDER / "signer.pem", "-signature", signature, content]
            if subprocess.run(command, capture_output=True).returncode == 0:
                return True
    return False


def keys(export, kind):
    """The keys of a list, as protoc tells them."""
    fields = ("transmission_risk_level", "rolling_start_interval_number", "rolling_period", "report_type")
    for body in re.findall(rf"^{kind} {{\n(.*?)^}}", export, re.MULTILINE | re.DOTALL):
        told = dict(line.strip().split(": ", 1) for line in body.splitlines())
        data = literal(told["key_data"])
        assert data == data[:1] * 16
        risk, start, period, report_type = (told.get(field) for field in fields)
        onset = told.get("days_since_onset_of_symptoms")
        number = lambda text: None if text is None else int(text)
        yield data[0], number(risk), number(start), number(period), report_type, number(onset)


def check(name, header, file):
    with zipfile.ZipFile(io.BytesIO(file)) as entries:
        export, signatures = entries.read("export.bin"), entries.read("export.sig")
    signatures = decode(signatures, "TEKSignatureList")
    if header["expect"] == "signature":
        assert not signed(export, signatures), "openssl takes the signature"
        return
    assert signed(export, signatures), "openssl takes no signature"
    told = decode(export[16:], "TemporaryExposureKeyExport")
    found = len(re.findall(r"^(?:revised_)?keys {$", told, re.MULTILINE))
    dropped = len(header["dropped"].split(", ")) if "dropped" in header else 0
    assert found == int(header["keys"]) + dropped, f"{found} keys"
    if name == "written":
        for kind, expected in WRITTEN.items():
            assert list(keys(told, kind)) == expected, kind
        lines = told.splitlines()
        for line in ('region: "GB"', "batch_num: 1", "batch_size: 1", '  verification_key_id: "235"'):
            assert line in lines, line


def main():
    checked, wrong = 0, 0
    for path in sorted(FOLDER.glob("*.txt")):
        header, file = read(path)
        if header["expect"] not in ("valid", "signature"):
            continue
        checked += 1
        try:
            check(path.stem, header, file)
        except (AssertionError, subprocess.CalledProcessError, zipfile.BadZipFile) as error:
            wrong += 1
            print(f"{path.stem}: {error}")
    print(f"{checked} exports read by others, {wrong} differ")
    return wrong > 0 or checked < 40


if __name__ == "__main__":
    sys.exit(main())
