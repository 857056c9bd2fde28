//! Units of one scheme, one after another, as they stand in a body.

use alloc::vec::Vec;

/// How long a scheme's units are, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    /// All equally long: concatenated in a body.
    Fixed(usize),
    /// From `min` to `max`: a list of byte strings in a body.
    Listed {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
    },
}

impl Width {
    /// Whether a unit can have so many bytes.
    pub const fn takes(self, len: usize) -> bool {
        match self {
            Self::Fixed(width) => len == width,
            Self::Listed { min, max } => min <= len && len <= max,
        }
    }

    /// The longest unit, in bytes.
    pub const fn max(self) -> usize {
        match self {
            Self::Fixed(width) => width,
            Self::Listed { max, .. } => max,
        }
    }
}

/// Units of one scheme.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Units {
    bytes: Vec<u8>,
    cuts: Cuts,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Cuts {
    /// A unit every so many bytes.
    Every(usize),
    /// Where each unit ends.
    At(Vec<usize>),
}

impl Units {
    /// None yet, of a scheme's width.
    pub const fn new(width: Width) -> Self {
        let cuts = match width {
            Width::Fixed(width) => Cuts::Every(width),
            Width::Listed { .. } => Cuts::At(Vec::new()),
        };
        let bytes = Vec::new();
        Self { bytes, cuts }
    }

    /// Units that stand one after another; `None` if the bytes are not whole units.
    pub fn concatenated(width: usize, bytes: Vec<u8>) -> Option<Self> {
        let cuts = Cuts::Every(width);
        (width > 0 && bytes.len().is_multiple_of(width)).then_some(Self { bytes, cuts })
    }

    /// Some units of a scheme's width. Those that do not have it are left out.
    pub fn of<'a>(width: Width, units: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Self::new(width);
        for unit in units.into_iter().filter(|unit| width.takes(unit.len())) {
            all.push(unit);
        }
        all
    }

    /// Adds a unit, which has the width.
    pub fn push(&mut self, unit: &[u8]) {
        self.bytes.extend_from_slice(unit);
        if let Cuts::At(ends) = &mut self.cuts {
            ends.push(self.bytes.len());
        }
    }

    /// All bytes, one unit after another.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many units there are.
    pub const fn len(&self) -> usize {
        match &self.cuts {
            Cuts::Every(width) => match self.bytes.len().checked_div(*width) {
                Some(len) => len,
                None => 0,
            },
            Cuts::At(ends) => ends.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Unit `number`, counted from 0.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        let (from, to) = match &self.cuts {
            Cuts::Every(width) => {
                let from = number.checked_mul(*width)?;
                (from, from.checked_add(*width)?)
            }
            Cuts::At(ends) => {
                let before = number.checked_sub(1).and_then(|before| ends.get(before));
                (before.copied().unwrap_or_default(), *ends.get(number)?)
            }
        };
        self.bytes.get(from..to)
    }

    /// Every unit, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|number| self.get(number))
    }
}
