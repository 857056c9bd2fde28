"""A second reader of DP-3T's lists of exposed keys, written from spec/15-dp3t-list.md alone.

Reads spec/vectors/dp3t-list.json: verifies every signature, reads every list, refuses each broken one by its rule. Standard
library only, ECDSA included. Exit status 1 with a line for each difference.
"""

import base64
import binascii
import hashlib
import json

from vectors import Refused, Report, load

# P-256 (FIPS 186-4 D.1.2.3): prime, order, base point. a is -3.
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
DAY_MS = 86_400_000


def need(holds, rule):
    if not holds:
        raise Refused(rule)


def add(one, other):
    if one is None or other is None:
        return one or other
    (x, y), (u, v) = one, other
    if x == u and (y + v) % P == 0:
        return None
    slope = (3 * x * x - 3) * pow(2 * y, -1, P) if one == other else (v - y) * pow(u - x, -1, P)
    z = (slope * slope - x - u) % P
    return z, (slope * (x - z) - y) % P


def times(scalar, point):
    total = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def signed(key, message, signature):
    if len(signature) != 64:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    if not (0 < r < N and 0 < s < N):
        return False
    e, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, N)
    point = add(times(e * w % N, G), times(r * w % N, key))
    return point is not None and point[0] % N == r


def public_key(pem):
    """The point of a SubjectPublicKeyInfo, which ends in it."""
    der = base64.b64decode("".join(pem.strip().split("\n")[1:-1]))
    assert der[-65] == 4
    return int.from_bytes(der[-64:-32], "big"), int.from_bytes(der[-32:], "big")


def unpadded(piece):
    need("=" not in piece, "jws")
    try:
        return base64.b64decode(piece + "=" * (-len(piece) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise Refused("jws") from None


def claims_of(text, key):
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "signature":
            text = value
            break
    pieces = text.strip().split(".")
    need(len(pieces) == 3, "jws")
    header, claims, signature = map(unpadded, pieces)
    try:
        header = json.loads(header)
        need("crit" not in header, "jws")
        need(header["alg"] == "ES256", "algorithm")
        need(signed(key, ".".join(pieces[:2]).encode(), signature), "signature")
        claims = json.loads(claims)
        content_hash = base64.b64decode(claims["content-hash"], validate=True)
        need(len(content_hash) == 32, "jws")
        until = int(claims["exp"])
    except (ValueError, KeyError):
        raise Refused("jws") from None
    need(claims.get("hash-alg", "sha-256") in ("sha-256", "sha256"), "algorithm")
    return content_hash, until, claims.get("batch-release-time")


def varint(data):
    number = 0
    for at in range(10):
        need(at < len(data), "protobuf")
        number |= (data[at] & 0x7F) << 7 * at
        if data[at] < 0x80:
            return number, data[at + 1 :]
    raise Refused("protobuf")


def fields(data):
    while data:
        key, data = varint(data)
        if key & 7 == 0:
            value, data = varint(data)
            value -= (value >> 63) << 64
        else:
            assert key & 7 == 2, "what the vectors have"
            length, data = varint(data)
            need(length <= len(data), "protobuf")
            value, data = data[:length], data[length:]
        yield key >> 3, value


def typed(value, kind):
    need(isinstance(value, kind), "wire-type")
    return value


def read(data, case, key):
    content_hash, until, said = claims_of(case["signature"], key)
    need(content_hash == hashlib.sha256(data).digest(), "content-hash")
    need(case["now"] <= until, "jws-expired")
    released, exposed = None, []
    for number, value in fields(data):
        if number == 1:
            released = typed(value, int)
        if number == 2:
            exposed.append(typed(value, bytes))
    need(released is not None and 0 <= released < 2**53, "list-time")
    need(said is None or int(said) == released, "list-time")
    keys, dropped, last = [], [], released // DAY_MS
    for place, message in enumerate(exposed):
        secret = date = None
        for number, value in fields(message):
            if number == 2:
                secret = typed(value, bytes)
            if number == 3:
                date = typed(value, int)
        if secret is None or len(secret) != 32:
            dropped.append({"place": place, "rule": "key-data"})
            continue
        if date is None or date % DAY_MS or not last - 100 <= date // DAY_MS <= last or date < 0:
            dropped.append({"place": place, "rule": "key-date"})
            continue
        first = max(date // DAY_MS, last - 20)
        for _ in range(date // DAY_MS, first):
            secret = hashlib.sha256(secret).digest()
        keys.append({"place": place, "key": secret.hex(), "first_day": first, "days": last + 1 - first})
    return {"released_at": released // 1000, "keys": keys, "dropped": dropped}


def main():
    report = Report("dp3t-list")
    v = load("dp3t-list.json")
    key = public_key(v["key"])
    for case in v["cases"]:
        try:
            found = read(bytes.fromhex(case["list"]), case, key)
        except Refused as refused:
            found = str(refused)
        expected = case.get("expect") or {name: case[name] for name in ("released_at", "keys", "dropped")}
        report.check(found == expected, f"{case['case']}: {found}")
    first = v["cases"][0]
    for exposed, taken in zip(v["exposed"], first["keys"], strict=True):
        said = {"key": taken["key"], "keyDate": taken["first_day"] * DAY_MS}
        report.check(said == exposed, "the first list")
    released = v["batch_release_time"]
    report.check(released % (v["batch_seconds"] * 1000) == 0, "a multiple of two hours")
    report.check(first["released_at"] * 1000 == released, "its time")
    report.finish()


if __name__ == "__main__":
    main()
