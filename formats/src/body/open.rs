//! The body of an open part: units of a scheme in groups of one level, grade and time.
//! Source: spec §6.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cbor::{Reader, Writer, ascending};
use crate::error::DecodeError;
use crate::id::{Level, Scheme};
use crate::limit;
use crate::scheme::{Units, Width};

/// What a group's units have in common. Groups stand in this order, no grade first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Terms {
    /// How much the notifications say.
    pub level: Level,
    /// Finer weight, 0 to 100, if the provider gives one.
    pub grade: Option<u8>,
    /// Observations at or after this time do not match, in seconds of UTC: the units were public
    /// by then, and anybody could have broadcast their identifiers.
    pub observed_before: u64,
}

/// Units of the same terms.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub terms: Terms,
    /// The units, ascending.
    pub values: Units,
}

/// The body of an open part, verified to have its one spelling.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenBody {
    scheme: Scheme,
    width: Width,
    groups: Vec<Group>,
}

impl OpenBody {
    /// Groups units. A unit that stands twice keeps the terms of the last one given. Units of
    /// another width than the scheme's are a mistake of the caller's.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] as a reader of the result would meet it.
    pub fn build<U: AsRef<[u8]>>(
        scheme: Scheme,
        units: impl IntoIterator<Item = (Terms, U)>,
    ) -> Result<Self, DecodeError> {
        let width = width(scheme)?;
        let last: BTreeMap<Vec<u8>, Terms> = units
            .into_iter()
            .map(|(terms, unit)| (unit.as_ref().to_vec(), terms))
            .collect();
        let mut groups: BTreeMap<Terms, Units> = BTreeMap::new();
        for (unit, terms) in last {
            let group = groups.entry(terms).or_insert_with(|| Units::new(width));
            group.push(&unit);
        }
        let groups = groups
            .into_iter()
            .map(|(terms, values)| Group { terms, values })
            .collect();
        let body = Self {
            scheme,
            width,
            groups,
        };
        Self::decode(scheme, &body.encode())
    }

    /// Reads a body of `scheme`, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break; `value` for a scheme this version does not know.
    pub fn decode(scheme: Scheme, bytes: &[u8]) -> Result<Self, DecodeError> {
        let width = width(scheme)?;
        let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let limit = u64::try_from(limit::MAX_BLOCK_BYTES).unwrap_or(u64::MAX);
        if found > limit {
            let (what, offset) = ("body in bytes", 0);
            return Err(DecodeError::Limit {
                what,
                found,
                limit,
                offset,
            });
        }
        let mut reader = Reader::new(bytes);
        let groups = reader.list("groups", limit::MAX_GROUPS, |r| group(r, width))?;
        reader.finish()?;
        if groups.is_empty() {
            let (what, offset) = ("a body has a group", 0);
            return Err(DecodeError::Value { what, offset });
        }
        ascending("groups", 0, groups.iter().map(|group| group.terms))?;
        let mut all: Vec<&[u8]> = groups
            .iter()
            .flat_map(|group| group.values.iter())
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        if all.len() != count {
            return Err(DecodeError::Duplicate {
                what: "a unit",
                offset: 0,
            });
        }
        Ok(Self {
            scheme,
            width,
            groups,
        })
    }

    /// The body's one spelling.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(self.groups.len());
        for Group { terms, values } in &self.groups {
            w.array(4).uint(u64::from(terms.level.0));
            match terms.grade {
                Some(grade) => w.uint(u64::from(grade)),
                None => w.null(),
            };
            w.uint(terms.observed_before);
            match self.width {
                Width::Fixed(_) => {
                    w.bytes(values.as_bytes());
                }
                Width::Listed { .. } => {
                    w.array(values.len());
                    values.iter().for_each(|unit| {
                        w.bytes(unit);
                    });
                }
            }
        }
        w.finish()
    }

    /// How its units expand.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its groups, in order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Every unit with its terms, in order.
    pub fn units(&self) -> impl Iterator<Item = (Terms, &[u8])> {
        self.groups
            .iter()
            .flat_map(|group| group.values.iter().map(|unit| (group.terms, unit)))
    }

    /// How many units it holds; the part's `count` must say the same.
    pub fn count(&self) -> u64 {
        let units = self.groups.iter().map(|group| group.values.len());
        u64::try_from(units.sum::<usize>()).unwrap_or(u64::MAX)
    }
}

fn width(scheme: Scheme) -> Result<Width, DecodeError> {
    let what = "an open body of a scheme that this version does not know, or that is always sealed";
    let rules = scheme.rules().filter(|rules| !rules.always_sealed());
    let rules = rules.ok_or(DecodeError::Value { what, offset: 0 })?;
    Ok(rules.width())
}

fn group(reader: &mut Reader<'_>, width: Width) -> Result<Group, DecodeError> {
    let offset = reader.offset();
    if reader.array("group", 4)? != 4 {
        return Err(DecodeError::Value {
            what: "a group is four items",
            offset,
        });
    }
    let level = small(reader.uint("level", u64::from(u8::MAX))?);
    let grade = reader.null_or(|r| r.uint("grade", limit::MAX_GRADE).map(small))?;
    let observed_before = reader.uint("observed_before", limit::MAX_NUMBER)?;
    let offset = reader.offset();
    let values = match width {
        Width::Fixed(width) => concatenated(reader, width)?,
        Width::Listed { min, max } => listed(reader, min, max)?,
    };
    ascending("units", offset, values.iter())?;
    let terms = Terms {
        level: Level(level),
        grade,
        observed_before,
    };
    Ok(Group { terms, values })
}

fn concatenated(reader: &mut Reader<'_>, width: usize) -> Result<Units, DecodeError> {
    let offset = reader.offset();
    let values = reader.bytes("values in bytes", limit::MAX_BLOCK_BYTES)?;
    let units = Units::concatenated(width, values.to_vec()).filter(|units| !units.is_empty());
    let what = "values are not one or more whole units of the scheme";
    units.ok_or(DecodeError::Value { what, offset })
}

fn listed(reader: &mut Reader<'_>, min: usize, max: usize) -> Result<Units, DecodeError> {
    let offset = reader.offset();
    let mut units = Units::new(Width::Listed { min, max });
    // Each takes at least `min` bytes of a body, which is bounded.
    let most = u64::try_from(limit::MAX_BLOCK_BYTES / min.max(1)).unwrap_or(u64::MAX);
    for _ in 0..reader.array("values", most)? {
        let offset = reader.offset();
        let unit = reader.bytes("a value in bytes", max)?;
        if unit.len() < min {
            let what = "a value is shorter than the scheme's units";
            return Err(DecodeError::Value { what, offset });
        }
        units.push(unit);
    }
    if units.is_empty() {
        let what = "values are not one or more whole units of the scheme";
        return Err(DecodeError::Value { what, offset });
    }
    Ok(units)
}

/// A number that was checked to be at most 255.
fn small(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
