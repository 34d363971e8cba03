//! iceoryx2: loaned slices through publish-subscribe, polled or woken by its event service.

pub(crate) mod carry;
pub(crate) mod stream;

use ::iceoryx2::port::listener::Listener;
use ::iceoryx2::port::notifier::Notifier;
use ::iceoryx2::port::publisher::Publisher;
use ::iceoryx2::port::subscriber::Subscriber;
use ::iceoryx2::prelude::*;
use ::iceoryx2::sample::Sample;
use ::iceoryx2::sample_mut::SampleMut;

use crate::Result;
use crate::clock::poll_until;
use crate::control::Control;
use crate::place::{Place, Side};
use crate::play::{Hop, Note, Stock, hops, stocks};

/// The ports of one side: it publishes on its own service and subscribes to the other's.
struct Ports {
    publisher: Publisher<ipc::Service, [f64], ()>,
    subscriber: Subscriber<ipc::Service, [f64], ()>,
    len: usize,
}

/// Prefix of every file this run's iceoryx2 makes in /dev/shm.
pub(crate) fn prefix(id: &str) -> String {
    format!("{id}_iox2_")
}

fn node(place: &Place) -> Result<Node<ipc::Service>> {
    set_log_level(LogLevel::Error);
    let mut config = Config::default();
    let root = place.dir.join("iox2");
    config.global.set_root_path(&Path::new(root.as_os_str().as_encoded_bytes())?);
    config.global.prefix = FileName::new(prefix(&place.id).as_bytes())?;
    let node = NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create()?;
    Ok(node)
}

/// The names of the two directions, this side's own first.
fn directions(side: Side) -> [&'static str; 2] {
    if side == Side::A { ["ping", "pong"] } else { ["pong", "ping"] }
}

impl Ports {
    fn open(node: &Node<ipc::Service>, place: &Place) -> Result<Self> {
        let [out, back] = directions(place.side);
        let service = |name: &str| -> Result<_> {
            let name = ServiceName::new(name)?;
            Ok(node.service_builder(&name).publish_subscribe::<[f64]>().open_or_create()?)
        };
        Ok(Self {
            publisher: service(out)?
                .publisher_builder()
                .initial_max_slice_len(place.len())
                .create()?,
            subscriber: service(back)?.subscriber_builder().create()?,
            len: place.len(),
        })
    }

    fn send(&self, note: Note) -> Result<()> {
        let mut sample = self.publisher.loan_slice_uninit(self.len)?;
        let payload = sample.payload_mut();
        payload[0].write(note.seq as f64);
        payload[1].write(note.held_ns as f64);
        // SAFETY: the payload lies in a shared file, whose bytes always hold some value, and any
        // bits are an f64.
        unsafe { sample.assume_init() }.send()?;
        Ok(())
    }

    fn try_recv(&self) -> Result<Option<Note>> {
        Ok(self.subscriber.receive()?.map(|sample| note(sample.payload())))
    }
}

fn note(payload: &[f64]) -> Note {
    Note { seq: payload[0] as u64, held_ns: payload[1] as u64 }
}

impl Hop for Ports {
    fn send(&mut self, note: Note) -> Result<()> {
        Self::send(self, note)
    }

    fn recv(&mut self) -> Result<Note> {
        poll_until(|| self.try_recv())
    }
}

/// The same ports, each message announced by an event, as its event-based example does.
struct Woken {
    ports: Ports,
    notifier: Notifier<ipc::Service>,
    listener: Listener<ipc::Service>,
}

impl Woken {
    fn open(node: &Node<ipc::Service>, place: &Place) -> Result<Self> {
        let [out, back] = directions(place.side);
        let service = |name: &str| -> Result<_> {
            let name = ServiceName::new(&format!("{name}-event"))?;
            Ok(node.service_builder(&name).event().open_or_create()?)
        };
        Ok(Self {
            ports: Ports::open(node, place)?,
            notifier: service(out)?.notifier_builder().create()?,
            listener: service(back)?.listener_builder().create()?,
        })
    }
}

impl Hop for Woken {
    fn send(&mut self, note: Note) -> Result<()> {
        self.ports.send(note)?;
        self.notifier.notify()?;
        Ok(())
    }

    fn recv(&mut self) -> Result<Note> {
        loop {
            if let Some(note) = self.ports.try_recv()? {
                return Ok(note);
            }
            self.listener.blocking_wait(|_| ())?;
        }
    }
}

/// Arrays kept where they are while their bytes are counted; A only publishes, B only subscribes.
struct Kept {
    publisher: Option<Publisher<ipc::Service, [f64], ()>>,
    subscriber: Option<Subscriber<ipc::Service, [f64], ()>>,
    len: usize,
    held: Vec<Sample<ipc::Service, [f64], ()>>,
    loaned: Vec<SampleMut<ipc::Service, [f64], ()>>,
}

impl Kept {
    fn open(node: &Node<ipc::Service>, place: &Place) -> Result<Self> {
        let (name, len) = (ServiceName::new("ping")?, place.len());
        let service = node.service_builder(&name).publish_subscribe::<[f64]>().open_or_create()?;
        let (publisher, subscriber) = if place.side == Side::A {
            (Some(service.publisher_builder().initial_max_slice_len(len).create()?), None)
        } else {
            (None, Some(service.subscriber_builder().create()?))
        };
        Ok(Self { publisher, subscriber, len, held: Vec::new(), loaned: Vec::new() })
    }

    fn filled(&self) -> Result<SampleMut<ipc::Service, [f64], ()>> {
        let publisher = self.publisher.as_ref().ok_or("B does not publish")?;
        Ok(publisher.loan_slice_uninit(self.len)?.write_from_fn(|_| 1.0))
    }
}

impl Stock for Kept {
    fn queue(&mut self) -> Result<()> {
        self.filled()?.send()?;
        Ok(())
    }

    fn hold(&mut self) -> Result<()> {
        let subscriber = self.subscriber.as_ref().ok_or("A does not subscribe")?;
        self.held.push(poll_until(|| Ok(subscriber.receive()?))?);
        Ok(())
    }

    fn loan(&mut self) -> Result<()> {
        let sample = self.filled()?;
        self.loaned.push(sample);
        Ok(())
    }
}

/// Receiver polls.
pub(crate) fn poll(place: &Place, control: &mut Control) -> Result<()> {
    let node = node(place)?;
    let ports = Ports::open(&node, place)?;
    control.token("")?;
    hops(control, place.side, ports)
}

/// Receiver sleeps in its listener.
pub(crate) fn event(place: &Place, control: &mut Control) -> Result<()> {
    let node = node(place)?;
    let woken = Woken::open(&node, place)?;
    control.token("")?;
    hops(control, place.side, woken)
}

/// Bytes are counted.
pub(crate) fn stock(place: &Place, control: &mut Control) -> Result<()> {
    let node = node(place)?;
    let kept = Kept::open(&node, place)?;
    control.token("")?;
    stocks(control, kept)
}
