//! Whole arrays, one way, polled.

use ::iceoryx2::port::publisher::Publisher;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::prelude::*;
use ::iceoryx2::sample::Sample;
use ::iceoryx2::sample_mut::SampleMut;

use super::node;
use crate::Result;
use crate::clock::poll_until;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Carry, carries};
use crate::sum::sum;

/// A publishes, B subscribes.
enum Whole {
    Out {
        publisher: Publisher<ipc::Service, [f64], ()>,
        len: usize,
        own: Option<SampleMut<ipc::Service, [f64], ()>>,
    },
    In {
        subscriber: Subscriber<ipc::Service, [f64], ()>,
        got: Option<Sample<ipc::Service, [f64], ()>>,
    },
}

impl Whole {
    fn open(node: &Node<ipc::Service>, place: &Place) -> Result<Self> {
        let (name, len) = (ServiceName::new("carry")?, place.len());
        let service = node.service_builder(&name).publish_subscribe::<[f64]>().open_or_create()?;
        Ok(match place.side {
            Side::A => {
                let publisher = service.publisher_builder().initial_max_slice_len(len).create()?;
                Self::Out { publisher, len, own: None }
            }
            Side::B => Self::In { subscriber: service.subscriber_builder().create()?, got: None },
        })
    }
}

impl Carry for Whole {
    fn fill(&mut self, value: f64) -> Result<()> {
        let Self::Out { publisher, len, own } = self else { return Err("B does not send".into()) };
        let mut sample = publisher.loan_slice_uninit(*len)?;
        for element in sample.payload_mut() {
            element.write(value);
        }
        // SAFETY: every element has just been written.
        *own = Some(unsafe { sample.assume_init() });
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let Self::Out { own, .. } = self else { return Err("B does not send".into()) };
        own.take().ok_or("nothing was filled")?.send()?;
        Ok(())
    }

    fn recv(&mut self) -> Result<()> {
        let Self::In { subscriber, got } = self else { return Err("A does not receive".into()) };
        *got = Some(poll_until(|| Ok(subscriber.receive()?))?);
        Ok(())
    }

    fn sum(&mut self) -> Result<(usize, f64)> {
        match self {
            Self::In { got: Some(sample), .. } => Ok((sample.payload().len(), sum(sample))),
            _ => Err("nothing was received".into()),
        }
    }

    fn release(&mut self) -> Result<()> {
        if let Self::In { got, .. } = self {
            *got = None;
        }
        Ok(())
    }
}

/// Receiver polls.
pub(crate) fn awake(place: &Place, control: &mut Control) -> Result<()> {
    let node = node(place)?;
    let whole = Whole::open(&node, place)?;
    control.token("")?;
    carries(control, place.len(), whole)
}
