//! What an export says, and the keys in it.

use super::{Case, three};
use crate::gaen_export::craft::{
    self, Entry, batch, bytes, fixed64, info, int, key, our_info, window, zip,
};

/// A signed export of these fields after the usual ones.
fn with(fields: &[Vec<u8>]) -> Vec<u8> {
    zip(&craft::entries(&craft::pair(fields)))
}

/// A signed export of these fields alone.
fn of(fields: &[Vec<u8>]) -> Vec<u8> {
    zip(&craft::entries(&craft::signed(fields.concat())))
}

/// A signed export, of which `export.bin` is all of this.
fn raw(export: &[u8]) -> Vec<u8> {
    let signatures = craft::signature(&our_info(), &craft::sign(export));
    zip(&craft::entries(&[export.to_vec(), signatures]))
}

fn region(text: impl AsRef<[u8]>) -> Vec<u8> {
    with(&[bytes(3, text)])
}

fn timed(start: u64, end: u64) -> Vec<u8> {
    with(&[fixed64(1, start), fixed64(2, end)])
}

fn numbered(num: u64, size: u64) -> Vec<u8> {
    with(&[int(4, num), int(5, size)])
}

pub(super) fn cases() -> Vec<Case> {
    [wire(), header(), texts()].concat()
}

fn wire() -> Vec<Case> {
    let valid = |name, about, keys, zip| Case::valid("protobuf", name, about, keys, zip);
    let broken = |name, about, fields: &[u8]| {
        Case::broken("protobuf", name, about, with(&[fields.to_vec()]))
    };
    let wire_type =
        |name, about, fields: &[Vec<u8>]| Case::broken("wire-type", name, about, with(fields));
    let strange = [
        int(99, 7),
        bytes(1000, "later"),
        [craft::varint(77 << 3 | 5), vec![1, 2, 3, 4]].concat(),
        fixed64((1 << 29) - 1, 0),
    ];
    vec![
        valid("no-keys", "an export without keys", 0, with(&[])),
        valid(
            "unknown-fields",
            "fields that nobody knows, of every wire type, also in a key",
            1,
            with(&[
                strange.concat(),
                bytes(7, [key(0x11), strange.concat()].concat()),
            ]),
        ),
        valid(
            "order",
            "keys first, header last",
            2,
            of(&[bytes(8, key(1)), bytes(7, key(2)), craft::head()]),
        ),
        valid(
            "last-counts",
            "a field that stands twice: the last one counts",
            1,
            with(&[
                bytes(3, "FR"),
                bytes(7, [key(0x11), int(4, 99), int(4, 144)].concat()),
            ]),
        ),
        valid(
            "long-number",
            "a number in more bytes than it needs",
            1,
            with(&[bytes(
                7,
                [key(0x11), vec![4 << 3, 0x90, 0x81, 0x80, 0x80, 0x00]].concat(),
            )]),
        ),
        broken("truncated", "the last field is cut off", &[0x3a, 5, 0]),
        broken(
            "truncated-number",
            "a number without its end",
            &[0x20, 0x80],
        ),
        broken("group", "a group, of an unknown field", &[0x7b, 0x7c]),
        broken("field-0", "a field with number 0", &[0x00, 0x00]),
        broken(
            "wire-type-6",
            "a wire type that there is not",
            &[0x0e, 0x00],
        ),
        broken(
            "number-65-bits",
            "a number of 65 bits",
            &[
                0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
            ],
        ),
        broken(
            "key-truncated",
            "a key that is no message",
            &[0x3a, 2, 0x0a, 16],
        ),
        wire_type(
            "key-data-number",
            "a key's bytes as a number",
            &[bytes(7, int(1, 5))],
        ),
        wire_type(
            "start-bytes",
            "the beginning of time as bytes",
            &[bytes(1, [0; 8])],
        ),
        wire_type(
            "batch-bytes",
            "the number in the batch as bytes",
            &[bytes(4, [1])],
        ),
    ]
}

fn header() -> Vec<Case> {
    let broken = Case::broken;
    let other = |first: &[u8; 16]| {
        let [export, _] = three();
        raw(&[&first[..], &export[16..]].concat())
    };
    let no_batch = |fields: &[Vec<u8>]| [&[window(), bytes(6, our_info())], fields].concat();
    vec![
        broken(
            "export-header",
            "version-2",
            "another version",
            other(b"EK Export v2    "),
        ),
        broken(
            "export-header",
            "header-tab",
            "a tab for a space",
            other(b"EK Export v1   \t"),
        ),
        broken(
            "export-header",
            "header-short",
            "15 bytes in all",
            raw(b"EK Export v1   "),
        ),
        Case::valid(
            "export-window",
            "window-shortest",
            "one second",
            0,
            timed(5, 6),
        ),
        broken("export-window", "window-none", "no times", {
            of(&[batch(4, 5), bytes(6, our_info())])
        }),
        broken(
            "export-window",
            "window-empty",
            "ends as it begins",
            timed(6, 6),
        ),
        broken(
            "export-window",
            "window-backwards",
            "ends before it begins",
            timed(7, 6),
        ),
        broken(
            "export-window",
            "window-late",
            "ends at 2^53",
            timed(6, 1 << 53),
        ),
        Case::valid(
            "export-batch",
            "batch-none",
            "neither number nor size, here nor in the signature: one of one",
            1,
            {
                let export = no_batch(&[bytes(7, key(1))]).concat();
                let export = [craft::MAGIC.to_vec(), export].concat();
                let fields = [bytes(1, our_info()), bytes(4, craft::sign(&export))];
                zip(&craft::entries(&[export, bytes(1, fields.concat())]))
            },
        ),
        broken(
            "export-batch",
            "batch-size-alone",
            "a size without a number",
            of(&no_batch(&[int(5, 1)])),
        ),
        broken(
            "export-batch",
            "batch-num-alone",
            "a number without a size",
            of(&no_batch(&[int(4, 1)])),
        ),
        broken("export-batch", "batch-num-0", "number 0", numbered(0, 1)),
        broken(
            "export-batch",
            "batch-num-high",
            "number 2 of 1",
            numbered(2, 1),
        ),
        broken(
            "export-batch",
            "batch-negative",
            "number -1 of -1",
            numbered(u64::MAX, u64::MAX),
        ),
        broken("export-batch", "batch-wide", "2^31 of as many", {
            numbered(1 << 31, 1 << 31)
        }),
        broken(
            "export-limit",
            "keys-1000001",
            "a million keys and one, all empty",
            {
                let [export, signatures] = craft::pair(&[[0x3a, 0].repeat(1_000_001)]);
                zip(&[
                    Entry::deflated("export.bin", &export),
                    Entry::stored("export.sig", &signatures),
                ])
            },
        ),
    ]
}

fn texts() -> Vec<Case> {
    let broken = |name, about, zip| Case::broken("export-text", name, about, zip);
    vec![
        Case::valid(
            "export-text",
            "region-longest",
            "256 bytes",
            0,
            region([b'x'; 256]),
        ),
        Case::valid(
            "export-text",
            "region-empty",
            "a region without a name",
            0,
            region(""),
        ),
        broken("region-long", "257 bytes", region([b'x'; 257])),
        broken("region-utf8", "not UTF-8", region(b"G\xffB")),
        broken("region-control", "a line end", region("GB\nUS")),
        broken("info-text", "a key id that is not UTF-8, in export.bin", {
            with(&[bytes(6, [bytes(4, b"\xff"), info("", "", "")].concat())])
        }),
    ]
}
