//! `pir.json`: masks, and queries with their answers (spec §5.8).

use super::File;
use super::json::{hex, list, object, quoted, row};
use super::sample::sha256;

const ABOUT: &str = "Queries for a chunk through two relays (spec §5.8). A mask is read for a body of so many chunks; chosen are the numbers of the chunks in it, from 0. In a query, other is mask with the wanted chunk flipped, answers are what the two relays answer, and their XOR is the chunk. (Chunks here are of 24 bytes, where those of a part are of 4096 or 16384.)";

pub(super) fn files() -> Vec<File> {
    let text = object(
        0,
        &[
            ("about", quoted(ABOUT)),
            ("masks", list(1, &masks())),
            ("queries", list(1, &queries())),
        ],
    );
    vec![File {
        path: "pir.json".to_owned(),
        text: text + "\n",
    }]
}

fn masks() -> Vec<String> {
    let mask = |about, chunks: usize, bytes: &[u8], chosen: Option<&[u32]>| {
        let chosen = chosen.map(|all| all.iter().map(u32::to_string).collect::<Vec<_>>());
        let expect = if chosen.is_some() { "valid" } else { "mask" };
        let mut pairs = vec![
            ("about", quoted(about)),
            ("chunks", chunks.to_string()),
            ("bytes", hex(bytes)),
            ("expect", quoted(expect)),
        ];
        if let Some(chosen) = chosen {
            pairs.push(("chosen", row(&chosen)));
        }
        object(2, &pairs)
    };
    let mut edges = [0; 61];
    (edges[0], edges[60]) = (0x81, 0x01);
    let mut spare = [0; 61];
    spare[60] = 0x02;
    let spare_in_five = [0, 0, 0, 0, 0x40];
    vec![
        mask(
            "the first, the eighth and the last of 481 chunks",
            481,
            &edges,
            Some(&[0, 7, 480]),
        ),
        mask(
            "no chunk at all: the answer is zeros",
            64,
            &[0; 8],
            Some(&[]),
        ),
        mask(
            "chunks 1, 8 and 37 of 38",
            38,
            &[2, 1, 0, 0, 0x20],
            Some(&[1, 8, 37]),
        ),
        mask("a bit after the last of 481 chunks", 481, &spare, None),
        mask(
            "a bit after the last of 38 chunks",
            38,
            &spare_in_five,
            None,
        ),
        mask("a byte too few", 64, &[0; 7], None),
        mask("a byte too many", 64, &[0; 9], None),
        mask("nothing", 38, &[], None),
    ]
}

fn queries() -> Vec<String> {
    let body: Vec<[u8; 24]> = (0..10_u8)
        .map(|i| sha256(&[i])[..24].try_into().expect("24 bytes"))
        .collect();
    let answer = |chosen: &[usize]| {
        let xor = |mut sum: [u8; 24], chunk: &usize| {
            sum.iter_mut().zip(body[*chunk]).for_each(|(a, b)| *a ^= b);
            sum
        };
        chosen.iter().fold([0; 24], xor)
    };
    let query =
        |about, wanted: usize, mask: [u8; 2], one: &[usize], flipped: [u8; 2], other: &[usize]| {
            let answers = [hex(&answer(one)), hex(&answer(other))];
            let chunks: Vec<String> = body.iter().map(|chunk| hex(chunk)).collect();
            object(
                2,
                &[
                    ("about", quoted(about)),
                    ("body", list(3, &chunks)),
                    ("wanted", wanted.to_string()),
                    ("mask", hex(&mask)),
                    ("other", hex(&flipped)),
                    ("answers", row(&answers)),
                    ("chunk", hex(&body[wanted])),
                ],
            )
        };
    vec![
        query(
            "chunk 8 of ten, which is out of the first half",
            8,
            [0x92, 0x02],
            &[1, 4, 7, 9],
            [0x92, 0x03],
            &[1, 4, 7, 8, 9],
        ),
        query(
            "chunk 4 of ten, which is in it",
            4,
            [0x92, 0x02],
            &[1, 4, 7, 9],
            [0x82, 0x02],
            &[1, 7, 9],
        ),
        query(
            "chunk 0, where the first half is empty",
            0,
            [0, 0],
            &[],
            [1, 0],
            &[0],
        ),
    ]
}
