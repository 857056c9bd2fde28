//! What a batch's parts ask of a client, and whether their bodies are right. Source: spec §6.1.

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part};
use bellwether_formats::body::check_observed_before;
use bellwether_formats::body::open::OpenBody;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::filter::{Filter, MIN_CLIENT_BITS};
use bellwether_formats::id::Scheme;
use bellwether_formats::sealed::{Index, Shape};
use bellwether_formats::signed::Signed;

use crate::observations::expired;
use crate::sealed::{SealedPart, Stage, Trouble, family};
use crate::trust::{Body, KnownPart, Wanted};

/// The bodies that `batch` commits to and that every client reads, now or never.
pub(crate) fn wanted(batch: &Batch, now: u64) -> impl Iterator<Item = Cid> {
    batch
        .parts
        .iter()
        .enumerate()
        .filter_map(move |(at, part)| match read_as(batch, at, part, now) {
            Reading::Body(part) => Some(part.body.cid),
            Reading::Known(_) => None,
        })
}

/// What became of every part, given the bodies that are [`wanted`]; and the broken rules.
pub(crate) fn judge<'a>(
    batch: &Batch,
    now: u64,
    body: impl Fn(&Cid) -> Option<&'a Block>,
) -> (Vec<KnownPart>, Vec<Trouble>) {
    let mut problems = Vec::new();
    let mut judge_one = |(at, part): (usize, &Part)| match read_as(batch, at, part, now) {
        Reading::Known(known) => {
            match (&known.body, part) {
                (Body::Sealed(sealed), _) if sealed.stage == Stage::Broken => {
                    let message = format!("sealed part {at} of batch {} is malformed", batch.seq);
                    problems.push(("sealed-parts", message));
                }
                // An update may know the rung; of a scheme it would be said by the scheme.
                (Body::Unread, Part::Sealed(part)) if family(part.scheme).is_some() => {
                    if let Err(error) = Shape::of(part.ids) {
                        let message =
                            format!("part {at} of batch {} is not read: {error}", batch.seq);
                        problems.push((error.rule(), message));
                    }
                }
                _ => {}
            }
            known
        }
        Reading::Body(open) => {
            let cid = open.body.cid;
            let checked = match body(&cid) {
                Some(block) => check(open.scheme, &open.body, open.count, block),
                None => Err(("not-found", format!("the body {cid} is missing"))),
            };
            let body = match checked {
                Ok(read) => {
                    // It stays, and what breaks the rule in it matches nothing.
                    problems.extend(ignored(&read, batch.published_at));
                    Body::Kept { cid, tested: 0 }
                }
                Err(problem) => {
                    problems.push(problem);
                    Body::Broken
                }
            };
            known(open, body)
        }
    };
    let parts = batch.parts.iter().enumerate().map(&mut judge_one).collect();
    (parts, problems)
}

/// Reads again those parts of a batch that an older version took in and could not read; what this
/// one cannot read either it may know to name.
pub(crate) fn read_again(batch: &Batch, known: &mut [KnownPart], now: u64) -> bool {
    let mut any = false;
    for ((at, part), known) in batch.parts.iter().enumerate().zip(known) {
        if known.body != Body::Unread {
            continue;
        }
        let new = match read_as(batch, at, part, now) {
            Reading::Known(new) => new,
            Reading::Body(open) => unfetched(open),
        };
        any |= *known != new;
        *known = new;
    }
    any
}

/// Whether filter and index are what the part says, and of use. Their CIDs were checked, so what is
/// wrong is the provider's doing. Source: spec §5.4, §5.5.
pub(crate) fn check_sealed(part: &Wanted, filter: &[u8], index: &[u8]) -> Result<(), Trouble> {
    let cid = part.filter;
    let size = u64::try_from(filter.len()).unwrap_or(u64::MAX);
    if size != part.filter_bytes {
        let said = part.filter_bytes;
        let message = format!("the filter {cid} has {size} bytes, its part says {said}");
        return Err(("size", message));
    }
    Filter::decode(filter, part.ids, MIN_CLIENT_BITS).map_err(|error| {
        let message = format!("the filter {cid} is malformed: {error}");
        (error.rule(), message)
    })?;
    let shape = Shape::of(part.ids).map_err(|error| (error.rule(), error.to_string()))?;
    Index::decode(index, &shape).map_err(|error| {
        let message = format!("the index {} is malformed: {error}", part.index);
        (error.rule(), message)
    })?;
    Ok(())
}

enum Reading<'a> {
    Body(&'a OpenPart),
    Known(KnownPart),
}

fn read_as<'a>(batch: &Batch, at: usize, part: &'a Part, now: u64) -> Reading<'a> {
    match part {
        Part::Open(open) if family(open.scheme).is_none() || batch.covers.is_some() => {
            Reading::Known(known(open, Body::Unread))
        }
        // Nothing can match it any more, if the clock is right; if not, it is fetched later.
        Part::Open(open) if expired(open.window.to, now) => Reading::Known(unfetched(open)),
        Part::Open(open) => Reading::Body(open),
        Part::Sealed(sealed) => {
            let body = match SealedPart::of(batch, at) {
                Some(part) if family(sealed.scheme).is_some() => Body::Sealed(Box::new(part)),
                Some(_) | None => Body::Unread,
            };
            Reading::Known(KnownPart {
                scheme: Some(sealed.scheme.0),
                kind: None,
                from: sealed.window.from,
                to: sealed.window.to,
                body,
            })
        }
        // Of an unknown kind nothing is known, not even of which times it speaks.
        Part::Unknown(unknown) => Reading::Known(KnownPart {
            scheme: None,
            kind: Some(unknown.kind()),
            from: 0,
            to: batch.published_at,
            body: Body::Unread,
        }),
    }
}

const fn unfetched(open: &OpenPart) -> KnownPart {
    let BlockRef { cid, size } = open.body;
    let count = open.count;
    known(open, Body::Unfetched { cid, size, count })
}

const fn known(open: &OpenPart, body: Body) -> KnownPart {
    KnownPart {
        scheme: Some(open.scheme.0),
        kind: None,
        from: open.window.from,
        to: open.window.to,
        body,
    }
}

/// Whether a body is what its part says of it. Its CID was checked, so what is wrong is the
/// provider's doing.
pub(crate) fn check(
    scheme: Scheme,
    said: &BlockRef,
    count: u64,
    block: &Block,
) -> Result<OpenBody, Trouble> {
    let cid = said.cid;
    let size = u64::try_from(block.bytes().len()).unwrap_or(u64::MAX);
    if size != said.size {
        let message = format!(
            "the body {cid} has {size} bytes, its part says {}",
            said.size
        );
        return Err(("size", message));
    }
    let body = OpenBody::decode(scheme, block.bytes()).map_err(|error| {
        (
            error.rule(),
            format!("the body {cid} is malformed: {error}"),
        )
    })?;
    if body.count() != count {
        let found = body.count();
        let message = format!("the body {cid} has {found} notifications, its part says {count}");
        return Err(("count", message));
    }
    Ok(body)
}

/// Trouble with a group that counts as not said, if there is one.
fn ignored(body: &OpenBody, published_at: u64) -> Option<Trouble> {
    let groups = body.groups().iter();
    let mut times = groups.map(|group| group.terms.observed_before);
    let error = times.find_map(|time| check_observed_before(time, published_at).err())?;
    Some((error.rule(), error.to_string()))
}

/// The batch's envelope as a block.
pub(crate) fn envelope(batch: &Signed<Batch>) -> Option<Block> {
    Block::of(Codec::DagCbor, batch.envelope().to_vec()).ok()
}
