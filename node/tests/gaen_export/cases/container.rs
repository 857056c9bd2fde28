//! Zips, as they are and as they must not be.

use miniz_oxide::deflate::compress_to_vec;

use super::{Case, three};
use crate::gaen_export::craft::{self, Entry, zip, zip_around};

/// The three keys, with something done to the entries.
fn with(change: impl FnOnce(&mut Vec<Entry>)) -> Vec<u8> {
    let mut entries = craft::entries(&three());
    change(&mut entries);
    zip(&entries)
}

/// The three keys in entries that are deflated, with something done to both.
fn deflated(change: impl Fn(Entry) -> Entry) -> Vec<u8> {
    let deflate = |entry: Entry| {
        let name = str::from_utf8(&entry.name).unwrap();
        change(Entry::deflated(name, &entry.content))
    };
    with(|entries| *entries = entries.drain(..).map(deflate).collect())
}

/// Timestamps, as many writers add them.
const TIMES: &[u8] = b"UT\x05\x00\x01\x00\x00\x00\x00";

pub(super) fn cases() -> Vec<Case> {
    [valid(), layout(), entries(), headers(), contents()].concat()
}

fn valid() -> Vec<Case> {
    let valid = |name, about, zip| Case::valid("zip-layout", name, about, 3, zip);
    vec![
        valid("stored", "both entries as they are", with(|_| ())),
        valid("deflated", "both entries deflated", deflated(|entry| entry)),
        valid(
            "streamed",
            "sizes after the content, with a signature: who cannot go back to the header",
            deflated(|entry| entry.streamed(1 << 3, 16)),
        ),
        valid(
            "streamed-utf8",
            "the same, and the name is said to be UTF-8",
            deflated(|entry| entry.streamed(1 << 3 | 1 << 11, 16)),
        ),
        valid(
            "streamed-bare",
            "sizes after the content, without a signature",
            deflated(|entry| entry.streamed(1 << 3, 12)),
        ),
        valid(
            "extra-fields",
            "timestamps in both headers, which differ",
            deflated(|entry| Entry {
                local_extra: [TIMES, TIMES].concat(),
                central_extra: TIMES.to_vec(),
                ..entry
            }),
        ),
        valid(
            "sig-first",
            "export.sig lies before export.bin",
            with(|entries| entries.reverse()),
        ),
        valid(
            "directory-reversed",
            "listed in another order than they lie",
            {
                let zip = with(|_| ());
                let at = zip
                    .windows(4)
                    .position(|four| four == b"PK\x01\x02")
                    .unwrap();
                let (lying, listed) = zip.split_at(at);
                let directory = &listed[..listed.len() - 22];
                let (one, other) = directory.split_at(directory.len() / 2);
                let mut zip = lying.to_vec();
                craft::end(&mut zip, &[other, one].concat(), 2);
                zip
            },
        ),
    ]
}

fn layout() -> Vec<Case> {
    let usual = || craft::entries(&three());
    let broken = |name, about, zip| Case::broken("zip-layout", name, about, zip);
    let cut = |bytes| {
        let mut zip = zip(&usual());
        zip.truncate(zip.len() - bytes);
        zip
    };
    vec![
        broken("empty", "no bytes at all", Vec::new()),
        broken("cut", "the last byte is missing", cut(1)),
        broken("no-end", "the end record is missing", cut(22)),
        broken(
            "before",
            "a byte before the first entry",
            zip_around(&usual(), b"#", b"", &[]),
        ),
        broken(
            "between",
            "bytes between the entries and the directory",
            zip_around(&usual(), b"", b"hidden", &[]),
        ),
        broken("after", "a byte after the end record", {
            [zip(&usual()), vec![0]].concat()
        }),
        broken("comment", "a comment after the end record", {
            let mut zip = zip(&usual());
            let at = zip.len() - 2;
            zip[at] = 2;
            [zip, b"hi".to_vec()].concat()
        }),
        broken(
            "ghost",
            "the directory lists an entry that the end record does not count",
            zip_around(&usual(), b"", b"", &usual()[..1]),
        ),
        broken("overlap-entries", "both entries begin at the same byte", {
            let mut zip = zip(&usual());
            let at = zip.len() - 22 - 10 - 4;
            zip[at..at + 4].fill(0);
            zip
        }),
        broken(
            "entry-gap",
            "bytes between the two entries: a descriptor that no flag announces",
            with(|entries| {
                entries[0].descriptor = 12;
                entries[0].tells_sums = true;
            }),
        ),
    ]
}

fn entries() -> Vec<Case> {
    let broken = |name, about, zip| Case::broken("zip-entries", name, about, zip);
    let renamed =
        |name: &'static str| with(move |entries| entries[0].name = name.as_bytes().to_vec());
    vec![
        broken("entry-third", "a third entry", {
            with(|entries| entries.push(Entry::stored("readme.txt", b"hello")))
        }),
        broken(
            "entry-one",
            "no export.sig",
            with(|entries| drop(entries.pop())),
        ),
        broken("entry-twice", "export.sig twice", renamed("export.sig")),
        broken("entry-path", "a path", renamed("../export.bin")),
        broken("entry-directory", "a directory", renamed("export.bin/")),
        broken("entry-case", "another spelling", renamed("EXPORT.BIN")),
        broken(
            "entry-nul",
            "a name with a zero byte",
            renamed("export.bin\0"),
        ),
    ]
}

fn headers() -> Vec<Case> {
    let broken = |name, about, zip| Case::broken("zip-header", name, about, zip);
    vec![
        broken("local-name", "another name in the local header", {
            with(|entries| entries[0].local_name = Some(b"export.bak".to_vec()))
        }),
        broken("local-flags", "other flags in the local header", {
            with(|entries| entries[0].local_flags = Some(2))
        }),
        broken("local-size", "another size in the local header", {
            with(|entries| entries[0].local_size = Some(7))
        }),
        broken("flags-patch", "a flag that nobody needs", {
            with(|entries| entries[0].flags = 1 << 5)
        }),
        broken("descriptor", "the descriptor says another check sum", {
            let mut zip = deflated(|entry| entry.streamed(1 << 3, 16));
            let at = zip.windows(4).position(|four| four == b"PK\x07\x08");
            zip[at.unwrap() + 4] ^= 1;
            zip
        }),
        broken(
            "descriptor-signature",
            "16 bytes of descriptor without its signature",
            {
                let mut zip = deflated(|entry| entry.streamed(1 << 3, 16));
                let at = zip.windows(4).position(|four| four == b"PK\x07\x08");
                zip[at.unwrap()] ^= 1;
                zip
            },
        ),
        broken("second-name", "an extra field with another name", {
            with(|entries| entries[0].central_extra = b"up\x05\x00\x01\x00\x00\x00\x00".to_vec())
        }),
        broken("zip64", "an extra field with larger sizes", {
            let extra = [b"\x01\x00\x08\x00".to_vec(), vec![0; 8]].concat();
            with(move |entries| entries[0].local_extra = extra)
        }),
        broken("stored-sizes", "a stored entry with two sizes", {
            with(|entries| entries[0].size += 1)
        }),
    ]
}

fn contents() -> Vec<Case> {
    let first = |change: fn(&mut Entry)| with(|entries| change(&mut entries[0]));
    let packed = |change: fn(&mut Vec<u8>)| {
        deflated(move |mut entry| {
            change(&mut entry.packed);
            entry
        })
    };
    vec![
        Case::broken("zip-encrypted", "encrypted", "the flag is set", {
            first(|entry| entry.flags = 1)
        }),
        Case::broken(
            "zip-method",
            "method",
            "bzip2",
            first(|entry| entry.method = 12),
        ),
        Case::broken("zip-crc", "crc", "another check sum, in both headers", {
            first(|entry| entry.crc ^= 1)
        }),
        Case::broken(
            "zip-size",
            "size-export",
            "export.bin of 64 MiB and a byte",
            first(|entry| entry.size = 64 * 1024 * 1024 + 1),
        ),
        Case::broken(
            "zip-size",
            "size-signatures",
            "export.sig of 64 KiB and a byte, deflated",
            with(|entries| entries[1] = Entry::deflated("export.sig", &[0; 64 * 1024 + 1])),
        ),
        Case::broken("zip-size", "size-ratio", "more than deflating can save", {
            deflated(|entry| Entry {
                size: 1_000_000,
                ..entry
            })
        }),
        Case::broken("zip-deflate", "deflate-cut", "the stream does not end", {
            packed(|packed| packed.truncate(packed.len() - 1))
        }),
        Case::broken(
            "zip-deflate",
            "deflate-after",
            "a byte after the end of the stream",
            packed(|packed| packed.push(0)),
        ),
        Case::broken("zip-deflate", "deflate-type", "a block of no known type", {
            packed(|packed| packed[0] |= 0b110)
        }),
        Case::broken(
            "zip-deflate",
            "deflate-longer",
            "the stream holds more than was said",
            packed(|packed| *packed = compress_to_vec(&[0; 5000], 9)),
        ),
    ]
}
