//! What the ends of a broadcast and of a latest-value cell have in common.

/// The constructors, verbs and traits that `Sender` and `Receiver` of both kinds share.
macro_rules! fan_out_ends {
    ($mode:expr, $what:literal, $create_sender:ident, $create_receiver:ident) => {
        impl<M: SharedMessage> Sender<M> {
            pub(super) fn new(core: Arc<Core>) -> Self {
                core.join(End::Sender);
                Self { core, messages: PhantomData }
            }

            /// Makes the channel, with `capacity` slots for messages.
            ///
            /// # Errors
            ///
            /// As [`ChannelOptions::create_sender`].
            pub fn create(name: &str, capacity: usize) -> Result<Self> {
                ChannelOptions::new(capacity).$create_sender(name)
            }

            /// Opens a channel that somebody has made, with the same message type.
            ///
            /// # Errors
            ///
            /// `NotFound`, `WrongKind`, `WrongType`, `WrongVersion`, `Corrupt`.
            pub fn open(name: &str) -> Result<Self> {
                Core::open(name, $mode, &MessageType::of::<M>()).map(Self::new)
            }

            /// As [`open`](Self::open), but waits for somebody to make the channel.
            ///
            /// # Errors
            ///
            /// `TimedOut`, and as [`open`](Self::open).
            pub fn open_timeout(name: &str, timeout: Duration) -> Result<Self> {
                open_within(name, timeout, || Self::open(name))
            }

            /// Sends a message; waits while there is no room, if the channel is made to wait.
            ///
            /// # Errors
            ///
            /// [`SendError`] gives the message back.
            pub fn send(&self, message: M) -> Result<(), SendError<M>> {
                sending::send(&self.core, message)
            }

            /// Sends a message if there is room.
            ///
            /// # Errors
            ///
            /// [`TrySendError`] gives the message back.
            pub fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
                sending::try_send(&self.core, message)
            }

            /// As [`send`](Self::send), but waits at most `timeout`.
            ///
            /// # Errors
            ///
            /// [`SendTimeoutError`] gives the message back.
            pub fn send_timeout(
                &self,
                message: M,
                timeout: Duration,
            ) -> Result<(), SendTimeoutError<M>> {
                sending::send_until(&self.core, message, Some(Deadline::after(timeout)))
            }
        }

        impl<M: SharedMessage> Receiver<M> {
            /// Makes the channel, with `capacity` slots for messages.
            ///
            /// # Errors
            ///
            /// As [`ChannelOptions::create_sender`].
            pub fn create(name: &str, capacity: usize) -> Result<Self> {
                ChannelOptions::new(capacity).$create_receiver(name)
            }

            /// Opens a channel that somebody has made, with the same message type.
            ///
            /// # Errors
            ///
            /// As [`Sender::open`], and `TooManyPeers` when it has 60 receivers already.
            pub fn open(name: &str) -> Result<Self> {
                Core::open(name, $mode, &MessageType::of::<M>()).and_then(Self::new)
            }

            /// As [`open`](Self::open), but waits for somebody to make the channel.
            ///
            /// # Errors
            ///
            /// `TimedOut`, and as [`open`](Self::open).
            pub fn open_timeout(name: &str, timeout: Duration) -> Result<Self> {
                open_within(name, timeout, || Self::open(name))
            }

            #[doc = concat!("Receives ", $what, "; waits until there is one.")]
            ///
            /// # Errors
            ///
            /// [`RecvError::Disconnected`] when there is none and every sender has gone or died.
            pub fn recv(&self) -> Result<M, RecvError> {
                receiving::recv_until(&self.core, None, |inbox| self.receive(inbox))
                    .map_err(without_end)
            }

            #[doc = concat!("Receives ", $what, ", if there is one.")]
            ///
            /// # Errors
            ///
            /// [`TryRecvError`].
            pub fn try_recv(&self) -> Result<M, TryRecvError> {
                receiving::try_recv(&self.core, |inbox| self.receive(inbox))
            }

            #[doc = concat!("Receives ", $what, "; waits at most `timeout` until there is one.")]
            ///
            /// # Errors
            ///
            /// [`RecvTimeoutError`].
            pub fn recv_timeout(&self, timeout: Duration) -> Result<M, RecvTimeoutError> {
                let deadline = Some(Deadline::after(timeout));
                receiving::recv_until(&self.core, deadline, |inbox| self.receive(inbox))
            }
        }

        impl<M: SharedMessage> Clone for Sender<M> {
            fn clone(&self) -> Self {
                Self::new(Arc::clone(&self.core))
            }
        }

        impl<M: SharedMessage> Drop for Sender<M> {
            fn drop(&mut self) {
                self.core.leave(End::Sender);
            }
        }

        fan_out_ends!(both Sender Receiver);
    };
    (both $($end:ident)+) => {$(
        impl<M: SharedMessage> $end<M> {
            /// Messages that the channel has slots for.
            #[must_use]
            pub fn capacity(&self) -> usize {
                self.core.capacity()
            }

            /// Messages that somebody has yet to receive, at about this moment; 1 in a latest-value cell that has one.
            #[must_use]
            pub fn len(&self) -> usize {
                self.core.len()
            }

            /// Whether there is no such message, at about this moment.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether the other side has been there and has gone. A death may be noticed some milliseconds late.
            #[must_use]
            pub fn is_disconnected(&self) -> bool {
                self.core.is_alone(End::$end)
            }

            /// The name of the channel.
            #[must_use]
            pub fn name(&self) -> &str {
                self.core.name()
            }

            /// Whether both are ends of the same channel.
            #[must_use]
            pub fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.core, &other.core)
            }
        }

        impl<M: SharedMessage> fmt::Debug for $end<M> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($end))
                    .field("name", &self.name())
                    .field("messages", &format_args!("{}", MessageType::of::<M>().text))
                    .field("len", &self.len())
                    .field("capacity", &self.capacity())
                    .finish()
            }
        }
    )+};
}

pub(super) use fan_out_ends;
