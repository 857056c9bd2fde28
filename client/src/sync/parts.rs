//! What a batch's parts ask of a client, and whether their bodies are right. Source: spec §6.1.

use bellwether_formats::batch::{Batch, OpenPart, Part};
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::signed::Signed;

use crate::observations::expired;
use crate::trust::{Body, KnownPart};

/// The bodies that `batch` commits to and that every client reads, now or never.
pub(crate) fn wanted(batch: &Batch, now: u64) -> impl Iterator<Item = Cid> {
    batch
        .parts
        .iter()
        .filter_map(move |part| match read_as(batch, part, now) {
            Reading::Body(part) => Some(part.body.cid),
            Reading::Known(_) => None,
        })
}

/// What became of every part, given the bodies that are [`wanted`]; and the broken rules.
pub(crate) fn judge<'a>(
    batch: &Batch,
    now: u64,
    body: impl Fn(&Cid) -> Option<&'a Block>,
) -> (Vec<KnownPart>, Vec<(&'static str, String)>) {
    let mut problems = Vec::new();
    let mut judge_one = |part: &Part| match read_as(batch, part, now) {
        Reading::Known(known) => known,
        Reading::Body(open) => {
            let cid = open.body.cid;
            let checked = match body(&cid) {
                Some(block) => check(open, block.bytes()),
                None => Err(("not-found", format!("the body {cid} is missing"))),
            };
            let body = match checked {
                Ok(()) => Body::Kept { cid, tested: 0 },
                Err(problem) => {
                    problems.push(problem);
                    Body::Broken
                }
            };
            known(open, body)
        }
    };
    let parts = batch.parts.iter().map(&mut judge_one).collect();
    (parts, problems)
}

enum Reading<'a> {
    Body(&'a OpenPart),
    Known(KnownPart),
}

fn read_as<'a>(batch: &Batch, part: &'a Part, now: u64) -> Reading<'a> {
    let unread = |scheme, from, to| KnownPart {
        scheme,
        from,
        to,
        body: Body::Unread,
    };
    match part {
        Part::Open(open) if open.scheme.unit_len().is_none() || batch.covers.is_some() => {
            Reading::Known(known(open, Body::Unread))
        }
        Part::Open(open) if expired(open.window.to, now) => Reading::Known(known(open, Body::Past)),
        Part::Open(open) => Reading::Body(open),
        Part::Sealed(sealed) => {
            let window = sealed.window;
            Reading::Known(unread(Some(sealed.scheme.0), window.from, window.to))
        }
        // Of an unknown kind nothing is known, not even of which times it speaks.
        Part::Unknown(_) => Reading::Known(unread(None, 0, batch.published_at)),
    }
}

const fn known(open: &OpenPart, body: Body) -> KnownPart {
    KnownPart {
        scheme: Some(open.scheme.0),
        from: open.window.from,
        to: open.window.to,
        body,
    }
}

/// Whether the body is what the part says. Its CID was checked, so what is wrong is the provider's
/// doing.
fn check(part: &OpenPart, bytes: &[u8]) -> Result<(), (&'static str, String)> {
    let cid = part.body.cid;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size != part.body.size {
        let message = format!(
            "the body {cid} has {size} bytes, its part says {}",
            part.body.size
        );
        return Err(("size", message));
    }
    let body = OpenBody::decode(part.scheme, bytes).map_err(|error| {
        (
            error.rule(),
            format!("the body {cid} is malformed: {error}"),
        )
    })?;
    if body.count() != part.count {
        let (found, said) = (body.count(), part.count);
        let message = format!("the body {cid} has {found} notifications, its part says {said}");
        return Err(("count", message));
    }
    Ok(())
}

/// The batch's envelope as a block.
pub(crate) fn envelope(batch: &Signed<Batch>) -> Option<Block> {
    Block::of(Codec::DagCbor, batch.envelope().to_vec()).ok()
}
