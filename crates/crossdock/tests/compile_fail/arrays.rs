//! What is shared to be changed is not handed over, and not every type can be an element.

use crossdock::channel::Message;
use crossdock::{Array, Atomic, Element, Item};

fn can_be_sent<T: Message>() {}
fn can_be_filled<T: Element>() {}
fn can_be_an_element<T: Item>() {}

fn main() {
    can_be_sent::<Array<Atomic<u64>>>();
    can_be_filled::<Atomic<u64>>();
    can_be_an_element::<String>();
    can_be_an_element::<Atomic<usize>>();
    Atomic::new(true).fetch_add(true, std::sync::atomic::Ordering::Relaxed);
}
