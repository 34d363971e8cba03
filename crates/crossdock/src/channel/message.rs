//! What can travel through a channel.
#![expect(private_interfaces, reason = "the sealed trait is nobody else's to call")]

use super::parcel::{Inbox, Parcel};
use crate::array::raw::Raw;
use crate::array::{AnyArray, Array, ArrayMut};
use crate::error::{Error, Result};
use bytemuck::Pod;
use crossdock_core::element::{DType, Element};
use crossdock_core::settings::{ARRAYS_MAX, RECORD_BYTES_MAX, Settings};
use crossdock_core::shm_safe::{ShmSafe, TypeLayout};
use crossdock_core::{Corrupt, header::TEXT_BYTES_MAX};
use half::{bf16, f16};
use num_complex::Complex;

/// Something that a channel hands over.
///
/// | type | what travels |
/// |---|---|
/// | [`Array<T>`], [`AnyArray`] | a handle; whoever sent it may keep clones, and everybody reads the same memory |
/// | [`ArrayMut<T>`] | a handle that changes hands: its receiver may write |
/// | a [`Record`]: numbers, `[T; N]`, a struct of yours | the bytes, 256 at most |
/// | `Option<M>`, `(A, B, ..)` of up to 6, `[Array<T>; N]`, `[ArrayMut<T>; N]` | all of them together, 8 arrays at most |
///
/// # Examples
///
/// ```
/// use crossdock::{Array, ArrayMut, channel::{Receiver, Record, Sender}, ShmSafe};
/// use bytemuck::{Pod, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Zeroable, ShmSafe)]
/// #[repr(C)]
/// struct FrameInfo {
///     number: u64,
///     exposure: f64,
/// }
/// impl Record for FrameInfo {}
///
/// type Frame = (FrameInfo, Array<u8>, Option<Array<f32>>);
/// let tx = Sender::<Frame>::create("message-docs", 4)?;
/// let rx = Receiver::<Frame>::open("message-docs")?; // in any process
///
/// let pixels = Array::from_slice(&[7; 100])?;
/// tx.send((FrameInfo { number: 1, exposure: 0.25 }, pixels, None))?;
/// let (info, pixels, depth) = rx.recv()?;
/// assert_eq!((info.number, info.exposure, pixels[99], depth.is_none()), (1, 0.25, 7, true));
/// # Ok::<(), crossdock::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel through a channel",
    label = "not a message",
    note = "arrays, numbers and `[T; N]` can, and tuples and `Option`s of these",
    note = "a struct of your own can with `#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable, ShmSafe)] \
            #[repr(C)]` and `impl Record for .. {{}}`",
    note = "an array of `Atomic<T>` has a name: open it in the other process with `Array::open`"
)]
pub trait Message: sealed::Sealed + Sized {}

/// A message that several receivers can have at once: every [`Message`] without an [`ArrayMut`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go to several receivers",
    note = "an `ArrayMut` has one owner: freeze it, and send the `Array`"
)]
pub trait SharedMessage: Message {}

/// A message that is one array, for [`loan`](super::Sender::loan).
pub trait ArrayMessage: Message {
    /// The element type of the array.
    type Element: Element;
}

/// Plain bytes that travel inside a message, 256 of them at most.
///
/// Numbers and `[T; N]` are records. For a struct of yours, derive `Pod` and `Zeroable` of bytemuck and
/// [`ShmSafe`](crate::ShmSafe), and add `impl Record for FrameInfo {}`: then its fields are part of what both
/// sides of a channel compare when they open it.
pub trait Record: ShmSafe + Pod {}

macro_rules! records {
    ($($type:ty)+) => {$( impl Record for $type {} )+};
}

records!(u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 f16 bf16 Complex<f32> Complex<f64> ());

impl<T: Record, const N: usize> Record for [T; N] {}

/// What kind of messages a channel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageType {
    pub(crate) text: String,
    /// The element type, if a message is an array and nothing else.
    pub(crate) dtype: Option<DType>,
    pub(crate) is_unique: bool,
    is_any: bool,
    arrays: usize,
    record_bytes: usize,
    is_varied: bool,
}

impl MessageType {
    pub(crate) fn of<M: Message>() -> Self {
        const {
            assert!(M::ARRAYS <= ARRAYS_MAX, "a message cannot have more than 8 arrays");
            assert!(
                M::RECORD_BYTES <= RECORD_BYTES_MAX,
                "a message cannot have more than 256 bytes besides its arrays (put them into an array)"
            );
        }
        let mut found = Self {
            text: String::new(),
            dtype: None,
            is_unique: false,
            is_any: false,
            arrays: M::ARRAYS,
            record_bytes: M::RECORD_BYTES,
            is_varied: M::IS_VARIED,
        };
        M::describe(&mut found.text);
        (found.dtype, found.is_unique, found.is_any) = M::LONE.unwrap_or((None, false, false));
        found
    }

    /// Adds to the settings of a channel that is to carry such messages.
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        let Self { arrays, record_bytes, is_varied, .. } = *self;
        Settings { arrays: arrays as u8, record_bytes: record_bytes as u16, is_varied, ..settings }
    }

    /// The text as it is written into a channel's file.
    pub(crate) fn file_text(&self) -> &str {
        let mut end = self.text.len().min(TEXT_BYTES_MAX);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }

    /// A hash of the text.
    pub(crate) fn hash(&self) -> u64 {
        crossdock_core::shm_safe::hash_of(&self.text)
    }

    /// Whether a program that expects this can use a channel of single arrays.
    pub(crate) fn takes_any_array(&self) -> bool {
        self.is_any
    }
}

/// Element type, whether unique, whether any type: of a message that is one array.
type Lone = Option<(Option<DType>, bool, bool)>;

pub(crate) mod sealed {
    use super::{Inbox, Lone, Parcel, Result};

    pub trait Sealed {
        /// Arrays in it, `None`s included.
        const ARRAYS: usize;
        /// Bytes in it that are not arrays.
        const RECORD_BYTES: usize;
        /// Whether each message says what parts it has, those above being the most.
        const IS_VARIED: bool = false;
        /// Set if it is one array and nothing else.
        const LONE: Lone = None;

        /// Adds its name.
        fn describe(text: &mut String);

        /// Puts it into a parcel; it stays where it is until the parcel has been sent.
        fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()>;

        /// Takes it out of the inbox.
        fn unpack(inbox: &mut Inbox) -> Result<Self>
        where
            Self: Sized;

        /// Its bytes, if it is a record and nothing else.
        #[inline]
        fn record(&self) -> Option<&[u8]> {
            None
        }

        /// A record whose bytes `read` writes if they are there; `None` if it is anything else as well.
        #[inline]
        fn of_record(_read: impl FnOnce(&mut [u8]) -> bool) -> Option<Self>
        where
            Self: Sized,
        {
            None
        }
    }
}

const WRONG_TYPE: Corrupt = Corrupt("it has other parts than its type");

fn wrong_type() -> Error {
    Error::corrupt("a message", WRONG_TYPE)
}

/// The next part of a message, which must be an array.
fn unpack_array<T: Element>(inbox: &mut Inbox, is_unique: bool) -> Result<Raw> {
    let received = inbox.next_array().ok_or_else(wrong_type)?;
    if received.ticket.dtype != T::DTYPE || received.ticket.is_unique != is_unique {
        return Err(wrong_type());
    }
    Raw::of_received::<T>(received)
}

macro_rules! arrays {
    ($($array:ident $is_unique:literal)+) => {$(
        impl<T: Element> Message for $array<T> {}

        impl<T: Element> ArrayMessage for $array<T> {
            type Element = T;
        }

        impl<T: Element> sealed::Sealed for $array<T> {
            const ARRAYS: usize = 1;
            const RECORD_BYTES: usize = 0;
            const LONE: Lone = Some((Some(T::DTYPE), $is_unique, false));

            fn describe(text: &mut String) {
                text.push_str(concat!(stringify!($array), "<"));
                text.push_str(T::DTYPE.name());
                text.push('>');
            }

            #[inline]
            fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
                let (ticket, lease) = self.raw().ticket(T::DTYPE, $is_unique)?;
                parcel.add_array(&ticket, lease);
                Ok(())
            }

            #[inline]
            fn unpack(inbox: &mut Inbox) -> Result<Self> {
                unpack_array::<T>(inbox, $is_unique).map(Self::from_raw)
            }
        }

        impl<T: Element, const N: usize> Message for [$array<T>; N] {}

        impl<T: Element, const N: usize> sealed::Sealed for [$array<T>; N] {
            const ARRAYS: usize = N;
            const RECORD_BYTES: usize = 0;

            fn describe(text: &mut String) {
                text.push('[');
                <$array<T> as sealed::Sealed>::describe(text);
                text.push_str(&format!("; {N}]"));
            }

            fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
                self.iter().try_for_each(|array| array.pack(parcel))
            }

            fn unpack(inbox: &mut Inbox) -> Result<Self> {
                let arrays: Result<Vec<_>> = (0..N).map(|_| $array::unpack(inbox)).collect();
                Self::try_from(arrays?).map_err(|_| wrong_type())
            }
        }
    )+};
}

arrays!(Array false ArrayMut true);

impl<T: Element> SharedMessage for Array<T> {}
impl<T: Element, const N: usize> SharedMessage for [Array<T>; N] {}
impl Message for AnyArray {}
impl SharedMessage for AnyArray {}

impl sealed::Sealed for AnyArray {
    const ARRAYS: usize = 1;
    const RECORD_BYTES: usize = 0;
    const LONE: Lone = Some((None, false, true));

    fn describe(text: &mut String) {
        text.push_str("AnyArray");
    }

    fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
        let (ticket, lease) = self.raw().ticket(self.dtype(), false)?;
        parcel.add_array(&ticket, lease);
        Ok(())
    }

    fn unpack(inbox: &mut Inbox) -> Result<Self> {
        let received = inbox.next_array().ok_or_else(wrong_type)?;
        if received.ticket.is_unique {
            return Err(wrong_type());
        }
        Self::of_received(received)
    }
}

impl<R: Record> Message for R {}
impl<R: Record> SharedMessage for R {}

impl<R: Record> sealed::Sealed for R {
    const ARRAYS: usize = 0;
    const RECORD_BYTES: usize = size_of::<R>();

    fn describe(text: &mut String) {
        text.push_str(TypeLayout::of::<R>().text());
    }

    #[inline]
    fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
        parcel.add_bytes(bytemuck::bytes_of(self));
        Ok(())
    }

    #[inline]
    fn unpack(inbox: &mut Inbox) -> Result<Self> {
        inbox.next_bytes(size_of::<R>()).map(bytemuck::pod_read_unaligned).ok_or_else(wrong_type)
    }

    #[inline]
    fn record(&self) -> Option<&[u8]> {
        Some(bytemuck::bytes_of(self))
    }

    #[inline]
    fn of_record(read: impl FnOnce(&mut [u8]) -> bool) -> Option<Self> {
        let mut record = R::zeroed();
        read(bytemuck::bytes_of_mut(&mut record)).then_some(record)
    }
}

impl<M: Message> Message for Option<M> {}
impl<M: SharedMessage> SharedMessage for Option<M> {}

impl<M: Message> sealed::Sealed for Option<M> {
    const ARRAYS: usize = M::ARRAYS;
    const RECORD_BYTES: usize = M::RECORD_BYTES + 1;

    fn describe(text: &mut String) {
        text.push_str("Option<");
        M::describe(text);
        text.push('>');
    }

    fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
        parcel.add_bytes(&[u8::from(self.is_some())]);
        if let Some(message) = self {
            return message.pack(parcel);
        }
        (0..M::ARRAYS).for_each(|_| parcel.add_no_array());
        parcel.add_bytes(&[0; RECORD_BYTES_MAX][..M::RECORD_BYTES]);
        Ok(())
    }

    fn unpack(inbox: &mut Inbox) -> Result<Self> {
        match inbox.next_bytes(1) {
            Some([1]) => M::unpack(inbox).map(Some),
            Some([0]) => {
                (0..M::ARRAYS).for_each(|_| drop(inbox.next_array()));
                inbox.next_bytes(M::RECORD_BYTES).map(|_| None).ok_or_else(wrong_type)
            }
            _ => Err(wrong_type()),
        }
    }
}

macro_rules! tuples {
    ($($($part:ident)+;)+) => {$(
        impl<$($part: Message),+> Message for ($($part,)+) {}
        impl<$($part: SharedMessage),+> SharedMessage for ($($part,)+) {}

        impl<$($part: Message),+> sealed::Sealed for ($($part,)+) {
            const ARRAYS: usize = 0 $(+ $part::ARRAYS)+;
            const RECORD_BYTES: usize = 0 $(+ $part::RECORD_BYTES)+;

            fn describe(text: &mut String) {
                text.push('(');
                $(
                    $part::describe(text);
                    text.push_str(", ");
                )+
                text.truncate(text.len() - 2);
                text.push(')');
            }

            fn pack<'m>(&'m self, parcel: &mut Parcel<'m>) -> Result<()> {
                #[expect(non_snake_case, reason = "the type and its value have one name")]
                let ($($part,)+) = self;
                $( $part.pack(parcel)?; )+
                Ok(())
            }

            fn unpack(inbox: &mut Inbox) -> Result<Self> {
                // Left to right, as they were packed.
                Ok(($($part::unpack(inbox)?,)+))
            }
        }
    )+};
}

tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}
