//! The one place where the arguments and results of tasks become bytes, and bytes become values again.
//!
//! What is in an envelope is small: control data, and handles that say where the big data lies. So there
//! is a limit, and it holds before the bytes are written, not after.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fmt;

/// Bytes of the longest argument or result. What is larger belongs into an [`Array`](crate::Array).
pub const INLINE_BYTES_MAX: usize = 1 << 20;

/// Why a value cannot travel.
#[derive(Debug)]
pub(crate) enum Unsendable {
    /// It takes more than [`INLINE_BYTES_MAX`].
    TooLong,
    /// Its type cannot be serialised, or this value of it; why.
    Unwritable(String),
}

thread_local! {
    /// Why something in a value could not be serialised, when postcard takes no text from it.
    static REFUSAL: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the reason why something in a value is not serialised, for whoever seals the value.
pub(crate) fn refuse(why: &str) {
    REFUSAL.set(Some(why.to_owned()));
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str(
                "it takes more than 1 MiB (put its numbers into a crossdock::Array, which stays where \
                 it is)",
            ),
            Self::Unwritable(why) => write!(f, "its type does not serialise: {why}"),
        }
    }
}

/// A value as bytes.
pub(crate) fn seal(value: &impl Serialize) -> Result<Vec<u8>, Unsendable> {
    write(value, Vec::new(), INLINE_BYTES_MAX)
}

/// As [`seal`], in at most so many bytes behind those that there are.
pub(crate) fn write(
    value: &impl Serialize,
    bytes: Vec<u8>,
    bytes_max: usize,
) -> Result<Vec<u8>, Unsendable> {
    REFUSAL.set(None);
    let len_max = bytes.len().saturating_add(bytes_max);
    match postcard::serialize_with_flavor(value, Bounded { bytes, len_max }) {
        Ok(bytes) => Ok(bytes),
        Err(postcard::Error::SerializeBufferFull) => Err(Unsendable::TooLong),
        Err(error) => {
            Err(Unsendable::Unwritable(REFUSAL.take().unwrap_or_else(|| error.to_string())))
        }
    }
}

/// The value that was sealed.
pub(crate) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        // Its type writes something that it does not read.
        (_, _) => Err(postcard::Error::DeserializeBadEncoding),
    }
}

/// Bytes up to a limit.
struct Bounded {
    bytes: Vec<u8>,
    len_max: usize,
}

impl postcard::ser_flavors::Flavor for Bounded {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if bytes.len() > self.len_max.saturating_sub(self.bytes.len()) {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[test]
    fn values_come_back() {
        let value = (7_u32, "text".to_owned(), vec![Some(1.5_f64), None]);
        let bytes = seal(&value).unwrap();
        assert_eq!(open::<(u32, String, Vec<Option<f64>>)>(&bytes).unwrap(), value);
    }

    #[test]
    fn the_limit_is_exact_and_names_the_array() {
        // Three bytes say how many follow.
        let longest = vec![1_u8; INLINE_BYTES_MAX - 3];
        assert_eq!(seal(&longest).unwrap().len(), INLINE_BYTES_MAX);
        let error = seal(&vec![1_u8; INLINE_BYTES_MAX - 2]).unwrap_err();
        assert!(error.to_string().contains("crossdock::Array"), "{error}");
    }

    #[test]
    fn what_stands_in_front_of_a_value_takes_nothing_of_its_limit() {
        let head = vec![7_u8; 100];
        assert_eq!(write(&[1_u8; 10], head.clone(), 10).unwrap().len(), 110);
        assert!(matches!(write(&[1_u8; 10], head, 9), Err(Unsendable::TooLong)));
    }

    #[test]
    fn a_type_that_does_not_read_what_it_writes_is_an_error() {
        #[derive(Serialize, Deserialize, Debug)]
        struct Lopsided {
            #[serde(skip_deserializing)]
            written_only: u32,
        }
        let bytes = seal(&Lopsided { written_only: 5 }).unwrap();
        assert!(open::<Lopsided>(&bytes).is_err());
    }
}
