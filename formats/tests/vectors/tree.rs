//! CBOR values as the generator sees them: anything can be written, also what no reader accepts.

use bellwether_formats::cbor::Writer;
use bellwether_formats::cid::Cid;

/// A value. Maps keep the order given.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    List(Vec<Self>),
    Map(Fields),
    Link(Cid),
    Null,
    /// Bytes as they are.
    Raw(Vec<u8>),
}

/// The fields of a map, in the order in which they are written.
#[derive(Clone, Debug)]
pub(crate) struct Fields(Vec<(&'static str, Tree)>);

impl Fields {
    pub(crate) fn new(fields: impl IntoIterator<Item = (&'static str, Tree)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// Replaces the field `key`, which is there.
    pub(crate) fn set(mut self, key: &str, value: impl Into<Tree>) -> Self {
        let field = self.0.iter_mut().find(|field| field.0 == key);
        field.expect("the field is there").1 = value.into();
        self
    }

    /// Adds a field where the canonical order has it.
    pub(crate) fn add(mut self, key: &'static str, value: impl Into<Tree>) -> Self {
        self.0.push((key, value.into()));
        self.0.sort_by_key(|(key, _)| (key.len(), *key));
        self
    }

    /// Leaves the field `key` out.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.0.retain(|field| field.0 != key);
        self
    }

    /// Puts the field `key` last.
    pub(crate) fn last(mut self, key: &str) -> Self {
        let at = self.0.iter().position(|field| field.0 == key);
        let field = self.0.remove(at.expect("the field is there"));
        self.0.push(field);
        self
    }

    /// Writes the map.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        Tree::Map(self.clone()).bytes()
    }
}

impl Tree {
    /// Writes the value.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish()
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Uint(number) => drop(w.uint(*number)),
            Self::Bytes(bytes) => drop(w.bytes(bytes)),
            Self::Text(text) => drop(w.text(text)),
            Self::List(items) => {
                w.array(items.len());
                items.iter().for_each(|item| item.write(w));
            }
            Self::Map(Fields(fields)) => {
                w.map(fields.len());
                for (key, value) in fields {
                    w.text(key);
                    value.write(w);
                }
            }
            Self::Link(cid) => drop(w.link(cid)),
            Self::Null => drop(w.null()),
            Self::Raw(bytes) => drop(w.raw(bytes)),
        }
    }
}

impl From<u64> for Tree {
    fn from(number: u64) -> Self {
        Self::Uint(number)
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Tree {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Tree {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<Self>> for Tree {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

impl From<Fields> for Tree {
    fn from(fields: Fields) -> Self {
        Self::Map(fields)
    }
}

impl From<Cid> for Tree {
    fn from(cid: Cid) -> Self {
        Self::Link(cid)
    }
}
