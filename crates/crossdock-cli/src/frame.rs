//! Serde values through a pipe, each preceded by its length.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Read, Write};

/// Writes one value that takes about `bytes_hint` bytes.
pub(crate) fn write(
    to: &mut impl Write,
    value: &impl Serialize,
    bytes_hint: usize,
) -> io::Result<()> {
    let bytes =
        postcard::to_extend(value, Vec::with_capacity(bytes_hint)).map_err(io::Error::other)?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one value; `None` when the other side has closed the pipe after a whole one.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 8];
    let mut got = 0;
    while got < len.len() {
        match from.read(&mut len[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => got += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let len = usize::try_from(u64::from_le_bytes(len)).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_one_by_one_until_the_pipe_ends() {
        let mut pipe = Vec::new();
        write(&mut pipe, &vec![1_u64, 2], 0).unwrap();
        write(&mut pipe, &Vec::<u64>::new(), 64).unwrap();
        let mut pipe = pipe.as_slice();
        assert_eq!(read::<Vec<u64>>(&mut pipe).unwrap(), Some(vec![1, 2]));
        assert_eq!(read::<Vec<u64>>(&mut pipe).unwrap(), Some(vec![]));
        assert_eq!(read::<Vec<u64>>(&mut pipe).unwrap(), None);
    }

    #[test]
    fn a_pipe_that_ends_within_a_value_is_an_error() {
        let mut pipe = Vec::new();
        write(&mut pipe, &[7_u64; 9], 0).unwrap();
        for cut in 1..pipe.len() {
            assert!(read::<[u64; 9]>(&mut &pipe[..cut]).is_err(), "{cut}");
        }
    }
}
