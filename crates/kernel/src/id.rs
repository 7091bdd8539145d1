//! Names of things: ids that sort by time, made from a time and randomness that the caller brings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Time;

/// Crockford's alphabet: no I, L, O, U, so that an id survives being read aloud.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

#[derive(Debug, PartialEq, Eq)]
pub struct NotAnId {
    prefix: &'static str,
}

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id: expected `{}_` and {LENGTH} letters and digits", self.prefix)
    }
}

fn written(value: u128) -> [u8; LENGTH] {
    // Twelve digits at a time fit into what a processor adds and shifts at once.
    const TWELVE: u128 = (1 << 60) - 1;
    let mut text = [b'0'; LENGTH];
    let mut rest = value;
    for places in text.rchunks_mut(12) {
        let mut part = u64::try_from(rest & TWELVE).unwrap_or_default();
        rest >>= 60;
        for place in places.iter_mut().rev() {
            let digit = usize::try_from(part & 31).unwrap_or_default();
            *place = DIGITS.get(digit).copied().unwrap_or(b'?');
            part >>= 5;
        }
    }
    text
}

fn read_id(text: &str) -> Option<u128> {
    if text.len() != LENGTH {
        return None;
    }
    let mut value = 0u128;
    for byte in text.bytes() {
        let digit = DIGITS.iter().position(|d| *d == byte)?;
        if value >> 123 != 0 {
            return None;
        }
        value = value << 5 | u128::try_from(digit).ok()?;
    }
    Some(value)
}

macro_rules! id {
    ($(#[$about:meta])* $name:ident, $prefix:literal) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u128);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// 48 bits of time, 80 of randomness.
            pub fn new(now: Time, random: [u8; 10]) -> $name {
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(now.0.to_be_bytes().into_iter().skip(2).chain(random)) {
                    *to = from;
                }
                $name(u128::from_be_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                // INVARIANT: it is ASCII.
                f.write_str(std::str::from_utf8(&written(self.0)).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<$name, NotAnId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(read_id)
                    .map($name)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                // By hand: each event holds several of them.
                let mut text = [b'_'; $prefix.len() + 1 + LENGTH];
                let (prefix, digits) = text.split_at_mut($prefix.len() + 1);
                prefix.iter_mut().zip($prefix.bytes()).for_each(|(to, from)| *to = from);
                digits.copy_from_slice(&written(self.0));
                // INVARIANT: it is ASCII.
                out.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<$name, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// One thing an agent asked for.
    CallId,
    "call"
);
id!(
    /// One prompt's worth of work.
    RunId,
    "run"
);
id!(
    /// The public half of an agent's key: names it, proves nothing.
    KeyId,
    "key"
);

impl RunId {
    const FAMILY: u128 = 0xFFFF_FFFF;

    /// What a run has in common with all that are opened under it.
    pub fn family(self) -> u64 {
        u64::try_from(self.0 & RunId::FAMILY).unwrap_or(0)
    }

    /// The same id in the family of another.
    #[must_use]
    pub fn beneath(self, parent: RunId) -> RunId {
        RunId((self.0 & !RunId::FAMILY) | (parent.0 & RunId::FAMILY))
    }
}

/// Equality inside one run and nothing more: an HMAC, cut to 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Mark(pub [u8; 16]);

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut text = [b'0'; 32];
        stdx::encode::hex_into(&self.0, &mut text);
        // INVARIANT: it is ASCII.
        out.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Mark, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        let bytes = stdx::encode::unhex(&text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Mark).ok_or_else(|| serde::de::Error::custom("a mark is 32 hexadecimal digits"))
    }
}
