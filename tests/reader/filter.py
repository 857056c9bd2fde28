"""A second reader and builder of filters, written from spec/5-filter-and-sealed.md §5.4 alone.

Reads spec/vectors/filter.json and answers every look-up, refuses every broken filter by its rule, and builds every
filter again. Standard library only. Exit status 1 with a line for each vector on which it differs.
"""

import hashlib
import math
import struct

from vectors import Refused, Report, load

U64 = (1 << 64) - 1
HEADER = struct.Struct("<BBBBQII")


def need(holds, rule):
    if not holds:
        raise Refused(rule)


def mix(x):
    x ^= x >> 33
    x = x * 0xFF51AFD7ED558CCD & U64
    x ^= x >> 33
    x = x * 0xC4CEB9FE1A85EC53 & U64
    return x ^ x >> 33


def places(h, s, c):
    """The three slots of a hash."""
    length = 1 << s
    p0 = h * c * length >> 64
    return p0, p0 + length ^ (h >> 18) % length, p0 + 2 * length ^ h % length


def read(data, ids, min_bits):
    """The filter as a function from a key to whether it is possible."""
    need(len(data) >= HEADER.size, "filter-length")
    form, r, s, zero, seed, c, n = HEADER.unpack_from(data)
    need(form == 1, "filter-format")
    need(zero == 0, "filter-reserved")
    need(s <= 18, "filter-segment")
    need(8 <= r <= 30, "filter-bits")
    need(r >= min_bits, "filter-minimum")
    need(n == ids, "filter-count")
    slots = c + 2 << s
    need(c >= 1 and slots <= 4 * n + 64, "filter-geometry")
    values_at = HEADER.size + -(-slots // 8)
    need(len(data) >= values_at, "filter-length")
    bitmap = int.from_bytes(data[HEADER.size : values_at], "little")
    need(bitmap >> slots == 0, "filter-padding")
    occupied = [slot for slot in range(slots) if bitmap >> slot & 1]
    need(len(occupied) <= n, "filter-used")
    packed = data[values_at:]
    need(len(packed) == -(-len(occupied) * r // 8), "filter-length")
    packed = int.from_bytes(packed, "little")
    need(packed >> len(occupied) * r == 0, "filter-padding")
    table = {slot: packed >> i * r & (1 << r) - 1 for i, slot in enumerate(occupied)}
    need(all(table.values()), "filter-zero")

    def possible(key):
        h = mix(key + seed & U64)
        found = 0
        for place in places(h, s, c):
            need(place < slots, "a look-up left the slots")
            found ^= table.get(place, 0)
        return n > 0 and found == (h ^ h >> 32) % (1 << r)

    return possible


GROWS_AT = (3, 9, 28, 92, 304, 1010, 3362, 11193, 37273, 124118)


def geometry(n):
    s = 2 + sum(n >= at for at in GROWS_AT)
    if n <= 1:
        return s, 1
    size = n * max(1.125, 0.875 + 0.25 * math.log(10**6) / math.log(n))
    capacity = math.floor(size + 0.5)
    return s, max(1, -(-capacity >> s) - 2)


def seed_of(attempt):
    z = 1 + attempt * 0x9E3779B97F4A7C15 & U64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & U64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & U64
    return z ^ z >> 31


def peel(hashes, s, c):
    """The peel order as (hash, own place, its two others), or None where some keys are left over."""
    inside = [set() for _ in range(c + 2 << s)]
    for h in hashes:
        for place in places(h, s, c):
            inside[place].add(h)
    need(all(len(keys) <= 63 for keys in inside), "more than 63 keys in a slot")
    stack = [slot for slot, keys in enumerate(inside) if len(keys) == 1]
    order = []
    while stack:
        own = stack.pop()
        if len(inside[own]) != 1:
            continue
        (h,) = inside[own]
        cycle = places(h, s, c) * 2
        at = cycle.index(own)
        others = cycle[at + 1], cycle[at + 2]
        order.append((h, own, others))
        for other in others:
            inside[other].remove(h)
            if len(inside[other]) == 1:
                stack.append(other)
    return order if len(order) == len(hashes) else None


def build(keys, r):
    """The block that a provider publishes for the keys."""
    n = len(keys)
    need(len(set(keys)) == n, "equal keys")
    for attempt in range(1, 65):
        s, c = geometry(n)
        if n > 4 and attempt % 4 == 2:
            s, c = s - 1, 2 * c + 2
        seed = seed_of(attempt)
        order = peel([mix(key + seed & U64) for key in keys], s, c)
        if order is not None:
            break
    else:
        raise Refused("no attempt succeeded")
    table = [0] * (c + 2 << s)
    for h, own, (a, b) in reversed(order):
        table[own] = (h ^ h >> 32) % (1 << 32) ^ table[a] ^ table[b]
    table = [value % (1 << r) for value in table]
    bitmap = sum(1 << slot for slot, value in enumerate(table) if value)
    values = "".join(f"{value:0{r}b}" for value in reversed(table) if value)
    return (
        HEADER.pack(1, r, s, 0, seed, c, n)
        + bitmap.to_bytes(-(-len(table) // 8), "little")
        + int(values or "0", 2).to_bytes(-(-len(values) // 8), "little")
    )


def invented(number):
    """Key `number` of those that the vectors derive."""
    return int.from_bytes(hashlib.sha256(b"filter-vector" + struct.pack(">I", number)).digest()[:8], "little")


def keys_of(vector):
    """The keys that a vector's filter is built from, or None where it is only to be read."""
    if "derived" in vector:
        first, count = vector["derived"]["from"], vector["derived"]["count"]
        return [invented(number) for number in range(first, first + count)]
    return [int(key, 16) for key in vector["keys"]] if "keys" in vector else None


def main():
    report = Report("filter.json")
    vectors = load("filter.json")
    for vector in vectors["valid"]:
        about, data = vector["about"], bytes.fromhex(vector["bytes"])
        keys = keys_of(vector)
        if keys is not None:
            report.check(build(keys, vector["bits"]) == data, f"{about}: built otherwise")
        try:
            possible = read(data, vector["ids"], vector["bits"])
        except Refused as rule:
            report.check(False, f"{about}: refused by {rule}")
            continue
        for expected, answers in ((True, ("present", "false_positives")), (False, ("absent",))):
            for key in (key for answer in answers for key in vector[answer]):
                report.check(possible(int(key, 16)) == expected, f"{about}: key {key} is not {expected}")
        report.check(vector["ids"] == 0 or all(map(possible, keys or [])), f"{about}: a key is missed")
    for vector in vectors["broken"]:
        try:
            read(bytes.fromhex(vector["bytes"]), vector["ids"], vector["min_bits"])
            found = "accepted"
        except Refused as rule:
            found = str(rule)
        report.check(found == vector["rule"], f"{vector['about']}: {found}, not {vector['rule']}")
    report.finish()


if __name__ == "__main__":
    main()
