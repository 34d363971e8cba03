//! Records in a stream, polled: a service for each receiver.
//!
//! Every subscriber of a service sees every message, so receivers that share the work have to have
//! services of their own. Nothing is lost: a publisher waits for room.

use std::{hint, thread};

use ::iceoryx2::port::publisher::Publisher;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::prelude::*;

use super::node;
use crate::Result;
use crate::clock::poll_idling;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::record::{BATCH, CAPACITY, Record, SENDERS_MAX};
use crate::stream::{Sink, Source, Tally, receives, sends};

impl<const N: usize> Source<N> for Publisher<ipc::Service, [Record; N], ()> {
    #[inline]
    fn send(&mut self, records: [Record; N]) -> Result<()> {
        self.loan_uninit()?.write_payload(records).send()?;
        Ok(())
    }
}

/// Polls; between two polls in vain it yields if the CPU is not its own.
struct Polled<const N: usize> {
    subscriber: Subscriber<ipc::Service, [Record; N], ()>,
    yields: bool,
}

impl<const N: usize> Sink for Polled<N> {
    #[inline]
    fn recv(&mut self, _most: usize, tally: &mut Tally) -> Result<()> {
        let idle = || if self.yields { thread::yield_now() } else { hint::spin_loop() };
        let sample = poll_idling(idle, || Ok(self.subscriber.receive()?))?;
        sample.payload().iter().try_for_each(|record| tally.take(record))
    }
}

fn records<const N: usize>(place: &Place, control: &mut Control) -> Result<()> {
    let node = node(place)?;
    let name = ServiceName::new(&format!("stream-{}", place.index % place.ends.receivers))?;
    let service = node
        .service_builder(&name)
        .publish_subscribe::<[Record; N]>()
        .max_publishers(SENDERS_MAX)
        .max_subscribers(1)
        .history_size(0)
        .subscriber_max_buffer_size(CAPACITY / N)
        .enable_safe_overflow(false)
        .open_or_create()?;
    match place.side {
        Side::A => {
            let strategy = BackpressureStrategy::RetryUntilDelivered;
            let publisher = service.publisher_builder().backpressure_strategy(strategy).create()?;
            control.token("")?;
            sends(control, place, publisher)
        }
        Side::B => {
            let subscriber = service.subscriber_builder().create()?;
            control.token("")?;
            receives(control, place, Polled { subscriber, yields: !place.ends.are_two() })
        }
    }
}

/// One record, or a batch, in each sample.
pub(crate) fn stream(place: &Place, control: &mut Control) -> Result<()> {
    if place.ends.batched { records::<BATCH>(place, control) } else { records::<1>(place, control) }
}
