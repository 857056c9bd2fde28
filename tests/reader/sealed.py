"""A second reader and builder of sealed parts, written from spec/5-filter-and-sealed.md alone.

Reads spec/vectors/sealed.json and pir.json: hashes, places, the ladder, a whole part built again, pieces that are
refused by their rules, masks and queries. Standard library only. Exit status 1 with a line for each difference.
"""

import base64
import hashlib

from vectors import Refused, Report, load

ENTRY = 24


def need(holds, rule):
    if not holds:
        raise Refused(rule)


def verdict(work):
    """`valid`, or the name of the rule that the work broke."""
    try:
        work()
    except Refused as refused:
        return str(refused)
    return "valid"


def bits(mask, chunks):
    """§5.8: the numbers of the chunks in a mask."""
    need(len(mask) == -(-chunks // 8), "mask")
    number = int.from_bytes(mask, "little")
    need(number >> chunks == 0, "mask")
    return [i for i in range(chunks) if number >> i & 1]


def xor(*pieces):
    total = 0
    for piece in pieces:
        total ^= int.from_bytes(piece, "big")
    return total.to_bytes(len(pieces[0]), "big")


# --- §5.2, §5.3 ---


TIMED = {4, 6, 7}  # dp3t-lowcost, dp3t-hybrid, gaen


def hashed(scheme, salt, day, identifier):
    need((scheme in TIMED) == (day is not None), "a day in timed schemes, and only there")
    bucket = b"" if day is None else day.to_bytes(8, "big")
    return hashlib.sha256(b"bw1" + bytes([scheme]) + salt + bucket + identifier).digest()


def place(tag, parts, chunks):
    part, rest = divmod(int.from_bytes(tag[:8], "big") * parts, 1 << 64)
    return part, rest * chunks >> 64


# --- §5.5 ---

LADDER = [(q << e) // 4 for e in range(13, 18) for q in (4, 5, 6, 7)] + [1 << 18]


def shape(ids):
    """Number and size of the chunks."""
    need(ids in LADDER, "ladder")
    return (ids // 128, 4096) if ids <= 1 << 14 else (-(-ids // 545), 16384)


STEP = 300
DAY = 86400


def read_payload(plain, day):
    """Level, grade step, observed_before, and the span in timed schemes."""
    need(plain[1] <= 4 and plain[11] == 0, "reserved")
    said = plain[0], plain[1], int.from_bytes(plain[2:7], "big")
    if day is None:
        need(plain[7:11] == bytes(4), "reserved")
        return *said, None
    first, count = int.from_bytes(plain[7:9], "big", signed=True), int.from_bytes(plain[9:11], "big")
    start = max(0, day * DAY + first * STEP)
    return *said, (start, start + count * STEP)


def write_payload(day, level, step, before, span):
    times = bytes(4)
    if span is not None:
        first, count = (span[0] - day * DAY) // STEP, (span[1] - span[0]) // STEP
        times = first.to_bytes(2, "big", signed=True) + count.to_bytes(2, "big")
    return bytes([level, step]) + before.to_bytes(5, "big") + times + bytes(1)


def meant(v):
    """What a vector says that a payload says."""
    span = v.get("span") and (v["span"]["from"], v["span"]["to"])
    return v["level"], v["grade_step"], v["observed_before"], span


def read_chunk(data, ids, part, parts, number):
    """The sealed payloads by their tags."""
    chunks, size = shape(ids)
    need(len(data) == size, "chunk-size")
    count = int.from_bytes(data[:2], "little")
    need(count <= (size - 2) // ENTRY, "chunk-count")
    end = 2 + count * ENTRY
    last, entries = b"", {}
    for at in range(2, end, ENTRY):
        tag = data[at : at + 12]
        need(last < tag, "tag-order")
        need(place(tag, parts, chunks) == (part, number), "tag-place")
        entries[tag] = data[at + 12 : at + ENTRY]
        last = tag
    need(not any(data[end:]), "chunk-tail")
    return entries


def head(data, at):
    """§2.1: major type, argument, and where the item goes on."""
    need(at < len(data), "truncated")
    major, low = data[at] >> 5, data[at] & 31
    if low < 24:
        return major, low, at + 1
    need(low < 28, "type")
    wide = 1 << low - 24
    need(at + 1 + wide <= len(data), "truncated")
    argument = int.from_bytes(data[at + 1 : at + 1 + wide], "big")
    need(argument >= (24, 1 << 8, 1 << 16, 1 << 32)[low - 24], "not-shortest")
    return major, argument, at + 1 + wide


def read_index(data, ids):
    """The CIDs of the chunks."""
    chunks, _ = shape(ids)
    major, count, at = head(data, 0)
    need(major == 4, "type")
    need(count <= chunks, "limit")
    cids = []
    for _ in range(count):
        major, tag, at = head(data, at)
        need(major == 6, "type")
        need(tag == 42, "tag")
        major, length, at = head(data, at)
        need(major == 2, "type")
        need(at + length <= len(data), "truncated")
        cid, at = data[at : at + length], at + length
        need(len(cid) == 37 and cid[:5] == bytes((0, 1, 0x55, 0x12, 32)), "cid")
        cids.append(cid[1:])
    need(count == chunks, "value")
    need(at == len(data), "trailing")
    return cids


def write_index(cids):
    size = len(cids)
    start = bytes([0x98, size]) if size < 256 else b"\x99" + size.to_bytes(2, "big")
    return start + b"".join(b"\xd8\x2a\x58\x25\x00" + cid for cid in cids)


def cid(codec, data):
    return bytes((1, codec, 0x12, 32)) + hashlib.sha256(data).digest()


def text(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


# --- the vectors ---


def check_small(report, vectors):
    for v in vectors["hashes"]:
        h = hashed(v["scheme"], bytes.fromhex(v["salt"]), v.get("day"), bytes.fromhex(v["identifier"]))
        report.check(h.hex() == v["hash"], f"hash: {v['about']}")
        report.check((h[:12].hex(), h[12:24].hex()) == (v["tag"], v["keystream"]), f"tag: {v['about']}")
        report.check(f"{int.from_bytes(h[:8], 'little'):016x}" == v["key"], f"key: {v['about']}")
    for v in vectors["places"]:
        found = place(bytes.fromhex(v["position"]) + b"\xff" * 4, v["parts"], v["chunks"])
        report.check(found == (v["part"], v["chunk"]), f"place: {v['about']}")
    ladder = [(v["ids"], (v["chunks"], v["chunk_bytes"])) for v in vectors["ladder"]]
    report.check(ladder == [(ids, shape(ids)) for ids in LADDER], "the ladder")


def check_part(report, part):
    """Builds the part from what it says, and opens every entry in what it shows."""
    salt, ids = bytes.fromhex(part["salt"]), part["ids"]
    chunks, size = shape(ids)
    said = {}
    for v in part["entries"]:
        h = hashed(part["scheme"], salt, v.get("day"), bytes.fromhex(v["identifier"]))
        said[h] = v.get("day"), meant(v)
    entries = [h[:12] + xor(write_payload(day, *payload), h[12:24]) for h, (day, payload) in said.items()]
    dummy = lambda i: hashlib.sha256(part["dummies"].encode() + i.to_bytes(4, "big")).digest()[:ENTRY]
    entries += [dummy(i) for i in range(ids - len(entries))]
    bodies = [[] for _ in range(chunks)]
    for entry in sorted(entries):
        bodies[place(entry, 1, chunks)[1]].append(entry)
    body = [(len(b).to_bytes(2, "little") + b"".join(b)).ljust(size, b"\0") for b in bodies]
    report.check(all(len(chunk) == size for chunk in body), "no chunk overflows")
    index = write_index([cid(0x55, chunk) for chunk in body])
    report.check(index.hex() == part["index"], "the index")
    report.check(text(cid(0x71, index)) == part["index_cid"], "the index's CID")
    shown, number = bytes.fromhex(part["chunk"]) + bytes(part["chunk_zeros"]), part["chunk_number"]
    report.check(shown == body[number], "the chunk shown")
    report.check(text(cid(0x55, shown)) == part["chunk_cid"], "its CID")
    report.check(read_index(index, ids)[number] == cid(0x55, shown), "its CID in the index")
    for h, (day, payload) in said.items():
        at = place(h, 1, chunks)[1]
        sealed = read_chunk(body[at], ids, 0, 1, at)[h[:12]]
        report.check(read_payload(xor(sealed, h[12:24]), day) == payload, f"entry {h.hex()}")


def read_in_batch(data, v):
    """A payload, in a batch of which it may be said when it was published."""
    payload = read_payload(data, v.get("day"))
    need(payload[2] <= v.get("published_at", payload[2]), "observed-before")
    return payload


def check_piece(report, v):
    data = bytes.fromhex(v.get("bytes", "")) + bytes(v.get("zeros", 0))
    readers = {
        "ids": lambda: shape(v["ids"]),
        "index": lambda: read_index(data, v["ids"]),
        "payload": lambda: read_in_batch(data, v),
        "chunk": lambda: read_chunk(data, v["ids"], v["part"], v["parts"], v["number"]),
    }
    found = verdict(readers[v["as"]])
    report.check(found == v["expect"], f"{v['as']}: {v['about']}: {found}")
    if v["as"] == "payload" and found == "valid":
        report.check(read_payload(data, v.get("day")) == meant(v), f"payload: {v['about']}")


def check_queries(report, vectors):
    for v in vectors["masks"]:
        mask, chosen = bytes.fromhex(v["bytes"]), []
        found = verdict(lambda: chosen.extend(bits(mask, v["chunks"])))
        report.check(found == v["expect"], f"mask: {v['about']}: {found}")
        report.check(chosen == v.get("chosen", []), f"mask: {v['about']}: {chosen}")
    for v in vectors["queries"]:
        body = [bytes.fromhex(chunk) for chunk in v["body"]]
        halves = [bytes.fromhex(v[half]) for half in ("mask", "other")]
        flipped = set(bits(halves[0], len(body))) ^ set(bits(halves[1], len(body)))
        report.check(flipped == {v["wanted"]}, f"query: {v['about']}: the halves")
        zeros = bytes(len(body[0]))
        answers = [xor(zeros, *(body[i] for i in bits(half, len(body)))) for half in halves]
        report.check([a.hex() for a in answers] == v["answers"], f"query: {v['about']}: the answers")
        report.check(xor(*answers) == bytes.fromhex(v["chunk"]), f"query: {v['about']}: the chunk")


def main():
    report = Report("sealed.json, pir.json")
    vectors = load("sealed.json")
    check_small(report, vectors)
    check_part(report, vectors["part"])
    check_part(report, vectors["timed_part"])
    for piece in vectors["pieces"]:
        check_piece(report, piece)
    check_queries(report, load("pir.json"))
    report.finish()


if __name__ == "__main__":
    main()
