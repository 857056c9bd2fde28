//! How the wire's types stand in the local state file.

/// A type with an exact text form, as that text.
pub(crate) mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// An object's id, as its 32 bytes.
pub(crate) mod object {
    use bellwether_formats::id::ObjectId;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(id: &ObjectId, to: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(id.as_bytes(), to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectId, D::Error> {
        serde_bytes::deserialize(from).map(ObjectId::from_bytes)
    }
}

/// An object's id that may be absent.
pub(crate) mod maybe_object {
    use bellwether_formats::id::ObjectId;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        id: &Option<ObjectId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&id.map(|id| *id.as_bytes()), to)
    }

    pub(crate) fn deserialize<'de, D>(from: D) -> Result<Option<ObjectId>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let bytes: Option<[u8; 32]> = serde_bytes::deserialize(from)?;
        Ok(bytes.map(ObjectId::from_bytes))
    }
}

/// A descriptor that may be absent, as its envelope; its signature is checked again when read.
pub(crate) mod descriptor {
    use bellwether_formats::descriptor::Descriptor;
    use bellwether_formats::signed::Signed;
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S>(held: &Option<Signed<Descriptor>>, to: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        serde_bytes::serialize(&held.as_ref().map(|held| held.envelope().to_vec()), to)
    }

    pub(crate) fn deserialize<'de, D>(from: D) -> Result<Option<Signed<Descriptor>>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let bytes: Option<Vec<u8>> = serde_bytes::deserialize(from)?;
        bytes
            .map(|bytes| Signed::open(&bytes).map_err(D::Error::custom))
            .transpose()
    }
}
