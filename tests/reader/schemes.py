"""A second implementation of the schemes, written from spec/7-schemes alone.

Reads the files of TCN, DP-3T, GAEN, FANNY and of units as text under spec/vectors/schemes: derives every identifier,
judges every match, refuses every broken unit and text by its rule. Standard library only. Exit status 1 with a line for
each difference. (CX has four implementations that agree; its vectors are read by the Rust tests.)
"""

import base64
import binascii
import datetime
import hashlib
import hmac
import re
import uuid

from primitives import aes, counter_stream, public_key, verify_strict
from vectors import Refused, Report, load

DAY, EPOCH, INTERVAL = 86400, 900, 600


def need(holds, rule):
    if not holds:
        raise Refused(rule)


def verdict(work):
    """What came of it, or the name of the rule that it broke."""
    try:
        return work()
    except Refused as refused:
        return str(refused)


def h(*pieces):
    return hashlib.sha256(b"".join(pieces)).digest()


def big(data):
    return int.from_bytes(data, "big")


def utc(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def all_of(identifiers):
    return h(*identifiers).hex()


# --- §7 times: what is checked of a period [from, to) at a time ---


def on_time(period, now):
    need(period[0] <= now and period[1] <= now + DAY, "unit-future")
    need(now - period[1] <= 21 * DAY, "unit-old")


# --- §7.2 ---


def tcn_next(rvk, key):
    return h(b"H_TCK", rvk, key)


def tcn_number(index, key):
    return h(b"H_TCN", index.to_bytes(2, "little"), key)[:16]


def tcn_read(unit):
    """rvk, the key that is given, and the range."""
    need(len(unit) >= 134 and len(unit) == 134 + unit[69], "unit-length")
    first, last = (int.from_bytes(unit[at : at + 2], "little") for at in (64, 66))
    need(first > 0, "first-index")
    need(1 <= last - first + 1 <= 4096, "range")
    need(verify_strict(unit[:32], unit[:-64], unit[-64:]), "report-signature")
    return unit[:32], unit[32:64], first, last


def tcn_expand(unit):
    rvk, key, first, last = tcn_read(unit)
    for index in range(first, last + 1):
        key = tcn_next(rvk, key)
        yield tcn_number(index, key)


def check_tcn(report):
    v = load("schemes/tcn.json")
    official, computed = v["official"], v["computed"]
    rak, rvk = (bytes.fromhex(official[name]) for name in ("rak", "rvk"))
    report.check(public_key(rak) == rvk, "tcn: rvk")
    keys, numbers = [h(b"H_TCK", rak)], [None]
    for index in range(1, 65536):
        keys.append(tcn_next(rvk, keys[-1]))
        numbers.append(tcn_number(index, keys[-1]))
    report.check(computed["tck_0"] == keys[0].hex(), "tcn: the first key")
    for part in (official, computed):
        for index, key in part["tck"].items():
            report.check(keys[int(index)].hex() == key, f"tcn: tck {index}")
        for index, number in part["tcn"].items():
            report.check(numbers[int(index)].hex() == number, f"tcn: tcn {index}")
    report.check(all_of(numbers[1:]) == computed["sha256_of_all_65535_tcns"], "tcn: all numbers")
    found = [number.hex() for number in tcn_expand(bytes.fromhex(official["signed_report"]))]
    report.check(found == computed["expansion_of_official_report"], "tcn: the official report")
    for r in computed["reports"]:
        unit, name = bytes.fromhex(r["signed_report"]), r["name"]
        report.check(verify_strict(unit[:32], unit[:-64], unit[-64:]), f"tcn: {name}: signature")
        said = unit[32:64], unit[68], unit[70:-64].hex(), len(unit)
        expected = keys[r["j1"] - 1], r["memo_type"], r["memo"], r["length"]
        report.check(said == expected, f"tcn: {name}: fields")
        found = verdict(lambda: list(tcn_expand(unit)))
        if r["j2"] < r["j1"]:
            report.check(found == "range", f"tcn: {name}: {found}")
            continue
        report.check(len(found) == r["tcn_count"], f"tcn: {name}: how many")
        ends = [found[0].hex(), found[-1].hex()]
        report.check(ends == r["tcns_first_last"], f"tcn: {name}: ends")
        report.check(all_of(found) == r["sha256_of_concatenated_tcns"], f"tcn: {name}: all")
    for broken in v["negative"]:
        found = verdict(lambda: tcn_read(bytes.fromhex(broken["report"])))
        report.check(found == broken["expect"], f"tcn: {broken['case']}: {found}")


# --- §7.3 ---


def prf(key, label):
    return hmac.digest(key, label, "sha256")


def ids_of_day(key):
    return counter_stream(prf(key, b"broadcast key"), 96)


def ids_of_window(seed, count):
    return counter_stream(prf(seed, b"DP3T-HYBRID"), count)


def hashed(identifier, epoch):
    return h(identifier, epoch.to_bytes(4, "big"))


def dp3t_period(scheme, unit):
    """When the identifiers of a unit are broadcast; it must not be published before the end."""
    if scheme == "dp3t-lowcost":
        need(len(unit) == 35, "unit-length")
        first, days = big(unit[32:34]), unit[34]
        need(1 <= days <= 21, "days")
        return first * DAY, (first + days) * DAY
    if scheme == "dp3t-unlinkable":
        need(len(unit) == 36, "unit-length")
        epoch = big(unit[32:])
        return epoch * EPOCH, (epoch + 1) * EPOCH
    need(len(unit) == 21, "unit-length")
    first, count = big(unit[16:20]), unit[20]
    need(count >= 1 and first % 96 + count <= 96, "window")
    return first * EPOCH, (first + count) * EPOCH


def dp3t_judge(scheme, unit, now):
    period = dp3t_period(scheme, unit)
    if now is not None:
        on_time(period, now)
    return period[1]


def check_ids(report, about, found, *lists):
    for listed in lists:
        for number, identifier in listed.items():
            report.check(found[int(number)].hex() == identifier, f"{about}: id {number}")


def check_dp3t(report):
    v = load("schemes/dp3t.json")
    key = bytes(32)
    for day in v["lowcost"]:
        about = f"dp3t: day {day['day_offset']}"
        report.check(key.hex() == day["sk"], f"{about}: key")
        report.check(prf(key, b"broadcast key").hex() == day["prf"], f"{about}: PRF")
        found = ids_of_day(key)
        check_ids(report, about, found, day["official_ephids"], day["ephids"])
        report.check(all_of(found) == day["sha256_of_96_ephids"], f"{about}: all")
        key = h(key)
    for test in v["lowcost_sdk_tests"]:
        if "sk_yesterday" in test:
            key, sought = h(bytes.fromhex(test["sk_yesterday"])), test["ephid_today"]
            expected = test["expect_match_after_one_rotation"]
        else:
            key, sought = bytes.fromhex(test["sk"]), test["ephid"]
            expected = test["expect_match_same_day"]
        found = [identifier.hex() for identifier in ids_of_day(key)]
        report.check((sought in found) == expected, f"dp3t: {test['test']}")
        report.check(not expected or found.index(sought) == test["index_in_day"], f"dp3t: {test['test']}: index")
    for seed in v["unlinkable"]["ephid"]:
        report.check(h(bytes.fromhex(seed["seed"]))[:16].hex() == seed["ephid"], "dp3t: id of a seed")
    for seen in v["unlinkable"]["hashed_observation"]:
        epoch = utc(seen["time"]) // EPOCH
        found = hashed(h(bytes.fromhex(seen["seed"]))[:16], epoch).hex()
        report.check((epoch, found) == (seen["epoch"], seen["hashed_observation"]), f"dp3t: hash at {seen['time']}")
    for window in v["hybrid"]:
        about, seed = f"dp3t: {window['name']}", bytes.fromhex(window["seed"])
        report.check(prf(seed, b"DP3T-HYBRID").hex() == window["prf"], f"{about}: PRF")
        found = ids_of_window(seed, window["epochs_per_window"])
        check_ids(report, about, found, window["ephids"])
        report.check(all_of(found) == window["sha256_of_all"], f"{about}: all")
    for case in v["match_cases"]:
        report.check(dp3t_matches(case) == case["expect"].startswith("match"), f"dp3t: {case['expect']}")
    for case in v["negative"]:
        found = verdict(lambda: dp3t_judge(case["scheme"], bytes.fromhex(case["unit"]), case.get("now")))
        report.check(found == case.get("expect", case.get("publish_from")), f"dp3t: {case['case']}: {found}")


def dp3t_matches(case):
    if case["design"] == "unlinkable":
        return hashed(bytes.fromhex(case["ephid"]), case["observed_epoch"]).hex() == case["filter_contains"]
    key, first = bytes.fromhex(case["sk"]), utc(case["key_day"] + "T00:00:00Z") // DAY
    at, before = utc(case["observed_at"]), utc(case["published_at"])
    for _ in range(first, at // DAY):
        key = h(key)
    found = [identifier.hex() for identifier in ids_of_day(key)]
    return first <= at // DAY and at < before and case["observed"] in found


# --- §7.4 ---


def hkdf(key, info):
    return prf(prf(bytes(32), key), info + b"\x01")[:16]


def rpis(tek, start, period):
    encrypt = aes(hkdf(tek, b"EN-RPIK"))
    return [encrypt(b"EN-RPI" + bytes(6) + j.to_bytes(4, "little")) for j in range(start, start + period)]


def gaen_judge(unit, now):
    """When a key may be published."""
    need(len(unit) == 23, "unit-length")
    start, period, risk = big(unit[16:20]), unit[20], unit[21]
    onset = int.from_bytes(unit[22:], signed=True)
    need(1 <= period <= 144, "rolling-period")
    need(start + period < 2**31, "rolling-start")
    need(risk <= 8, "transmission-risk")
    need(onset == -128 or -14 <= onset <= 14, "days-since-onset")
    if now is not None:
        on_time((start * INTERVAL, (start + period) * INTERVAL), now)
    return (start + period + 12) * INTERVAL


LEVELS = "no-alert", "debug", "expired", "unknown", "symptomatic", "diagnosed", "clinically-diagnosed"

# §6.2, by the levels that report types are.
MAY_BECOME = {
    "debug": LEVELS,
    "unknown": LEVELS,
    "symptomatic": ("clinically-diagnosed", "diagnosed", "no-alert"),
    "clinically-diagnosed": ("diagnosed", "no-alert"),
}


def check_gaen(report):
    v = load("schemes/gaen.json")
    o = v["official"]
    tek, start, period = bytes.fromhex(o["tek"]), o["rolling_start_interval_number"], o["rolling_period"]
    report.check(o["key_generation_unix_seconds"] // INTERVAL == start, "gaen: start")
    aemk = hkdf(tek, b"EN-AEMK")
    report.check((hkdf(tek, b"EN-RPIK").hex(), aemk.hex()) == (o["rpik"], o["aemk"]), "gaen: keys")
    official = rpis(tek, start, period)
    report.check([rpi.hex() for rpi in official] == o["rpi"], "gaen: identifiers")
    encrypt, metadata = aes(aemk), bytes.fromhex(o["metadata"])
    sealed = [bytes(a ^ b for a, b in zip(metadata, encrypt(rpi))).hex() for rpi in official]
    report.check(sealed == o["aem"], "gaen: metadata")
    for k in v["computed"]:
        tek, name = bytes.fromhex(k["tek"]), k["name"]
        keys = hkdf(tek, b"EN-RPIK").hex(), hkdf(tek, b"EN-AEMK").hex()
        report.check(keys == (k["rpik"], k["aemk"]), f"gaen: {name}: keys")
        found = rpis(tek, k["rolling_start"], k["rolling_period"])
        ends = found[0].hex(), found[-1].hex(), all_of(found)
        report.check(ends == (k["rpi_first"], k["rpi_last"], k["sha256_of_all"]), f"gaen: {name}: identifiers")
    for case in v["match_cases"]:
        published = official[: case.get("rolling_period_published", period)]
        near = range(case["sighting_interval"] - 12, case["sighting_interval"] + 13)
        found = any(rpi.hex() == case["rpi"] and start + i in near for i, rpi in enumerate(published))
        report.check(found == case["expect"].startswith("match"), f"gaen: {case['expect']}")
    for case in v["transitions"]:
        allowed = case["to"] in MAY_BECOME.get(case["from"], ())
        found = None if allowed else "transition"
        report.check(found == case.get("expect"), f"gaen: {case['from']} to {case['to']}")
    for case in v["negative"]:
        found = verdict(lambda: gaen_judge(bytes.fromhex(case["unit"]), case.get("now")))
        report.check(found == case.get("expect", case.get("publish_from")), f"gaen: {case['case']}: {found}")


# --- §7.5 ---


def fanny_text(one, other):
    ids = [uuid.UUID(contact) for contact in (one, other)]
    random = all(contact.variant == uuid.RFC_4122 and contact.version == 4 for contact in ids)
    need(random and ids[0] != ids[1], "contact-id")
    return b"".join(sorted(str(contact).encode() for contact in ids))


def fanny_token(one, other):
    return h(fanny_text(one, other)).hex()


def fanny_key(one, other):
    extracted = hmac.digest(b"", fanny_text(one, other), "sha256")
    return hmac.digest(extracted, b"FANNY-ENC/1\x01", "sha256")


def fanny_value(ids, url, day):
    token = bytes.fromhex(fanny_token(*ids))
    said = b"FANNY-PUB/1" + h(url.encode()) + day.to_bytes(4, "big") + token
    return hmac.digest(fanny_key(*ids), said, "sha256").hex()


def fanny_judge(unit, now):
    need(len(unit) == 50, "unit-length")
    if now is not None:
        need(now // DAY <= big(unit[48:]) <= now // DAY + 16, "expiry")
    return 0


def check_fanny(report):
    v = load("schemes/fanny.json")
    for t in v["tokens"]:
        ids = t["contact_id_1"], t["contact_id_2"]
        report.check("".join(sorted(ids)) == t["sorted_concat"], "fanny: order")
        for one, other in (ids, ids[::-1]):
            report.check(fanny_token(one, other) == t["token"], f"fanny: token of {one}")
        raw = h(*sorted(uuid.UUID(contact).bytes for contact in ids)).hex()
        report.check(raw == t["not_this"] != t["token"], "fanny: the mistake")
    for e in v["expiry"]["vectors"]:
        at, hour = utc(e["contact_time"]), e["fixed_hour_utc"] * 3600
        day = -(-(at + 15 * DAY - hour) // DAY)
        said = e["contact_unix"], e["expiry_day_number"], e["expires_unix"], utc(e["expires"])
        report.check(said == (at, day, day * DAY + hour, day * DAY + hour), f"fanny: expiry of {e['contact_time']}")
    for e in v["encrypted"]["vectors"]:
        ids, day = e["contact_ids"], e["expiry_day"]
        said = fanny_token(*ids), fanny_key(*ids).hex(), fanny_value(ids, e["provider_url"], day)
        report.check(said == (e["token"], e["key"], e["value"]), f"fanny: encrypted for {e['provider_url']}")
    for case in v["encrypted"]["look_ups"]:
        ids, at, url = case["contact_ids"], utc(case["contact_time"]), f"bellwether:{case['provider']}"
        first, last = (-(-(at + 15 * DAY + by) // DAY) for by in (-600 - 23 * 3600, 600))
        days = [{"day": day, "value": fanny_value(ids, url, day)} for day in range(first, last + 1)]
        said = case["contact_unix"], case["provider_url"], case["expect"]
        sought = [{"value": fanny_token(*ids)}, *days]
        report.check(said == (at, url, sought), f"fanny: look-ups of {case['contact_time']}")
    for case in v["negative"]:
        if "contact_ids" in case:
            found, expected = verdict(lambda: fanny_token(*case["contact_ids"])), case.get("expect", case.get("token"))
        else:
            found = verdict(lambda: fanny_judge(bytes.fromhex(case["unit"]), case.get("now")))
            expected = case.get("expect", case.get("publish_from"))
        report.check(found == expected, f"fanny: {case['case']}: {found}")


# --- §7.6 ---


def text_hex(text, length=None):
    need(re.fullmatch("([0-9a-fA-F]{2})*", text), "text-bytes")
    need(length in (None, len(text) // 2), "unit-length")
    return bytes.fromhex(text)


def text_report(text):
    try:
        return text_hex(text)
    except Refused:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error:
            raise Refused("text-bytes") from None


def text_number(text, size, signed=False):
    need(re.fullmatch("-?[0-9]+" if signed else "[0-9]+", text), "text-number")
    try:
        return int(text).to_bytes(size, "big", signed=signed)
    except OverflowError:
        raise Refused("text-number") from None


def text_date(text):
    need(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text), "text-date")
    try:
        day = (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    except ValueError:
        raise Refused("text-date") from None
    need(0 <= day < 65536, "text-date")
    return day.to_bytes(2, "big")


# Readers of a scheme's fields in order, and what stands for those that may be missing.
TEXTS = {
    "cx1": ([lambda f: text_hex(f, 24)], []),
    "cx2": ([lambda f: text_hex(f, 48)], []),
    "tcn": ([text_report], []),
    "dp3t-lowcost": ([lambda f: text_hex(f, 32), text_date, lambda f: text_number(f, 1)], ["1"]),
    "dp3t-unlinkable": ([lambda f: text_number(f, 4), lambda f: text_hex(f, 32)], []),
    "dp3t-hybrid": ([lambda f: text_hex(f, 16), lambda f: text_number(f, 4), lambda f: text_number(f, 1)], []),
    "gaen": (
        [lambda f: text_hex(f, 16), lambda f: text_number(f, 4), lambda f: text_number(f, 1)]
        + [lambda f: text_number(f, 1), lambda f: text_number(f, 1, signed=True)],
        ["144", "0", "-128"],
    ),
    "fanny": ([lambda f: text_hex(f, 32), text_date], []),
}


def text_unit(scheme, text):
    need(len(text.encode()) <= 1024, "text-length")
    readers, missing = TEXTS[scheme]
    fields = text.split(" ")
    need(all(fields) and len(readers) - len(missing) <= len(fields) <= len(readers), "text-fields")
    fields += missing[len(fields) - len(readers) :] if len(fields) < len(readers) else []
    unit = [read(field) for read, field in zip(readers, fields)]
    if scheme == "dp3t-unlinkable":
        epoch, seed = unit
        return h(h(seed)[:16], epoch) + epoch
    return b"".join(unit)


def check_text(report):
    v = load("schemes/text.json")
    for read in v["read"]:
        found = verdict(lambda: text_unit(read["scheme"], read["text"]).hex())
        report.check(found == read["unit"], f"text: {read['scheme']}: {read['about']}: {found}")
        if read.get("written"):
            again = verdict(lambda: text_unit(read["scheme"], read["written"]).hex())
            report.check(again == read["unit"], f"text: {read['scheme']}: {read['about']}: written")
    for refused in v["refused"]:
        found = verdict(lambda: text_unit(refused["scheme"], refused["text"]))
        report.check(found == refused["expect"], f"text: {refused['scheme']}: {refused['about']}: {found}")


def main():
    report = Report("schemes")
    for check in (check_tcn, check_dp3t, check_gaen, check_fanny, check_text):
        check(report)
    report.finish()


if __name__ == "__main__":
    main()
