//! `Event`, from both sides.

use crate::case::{Case, Play, Survivor};
use crate::process::pause;
use crate::stage::Stage;
use crossdock_core::sync::Event;
use std::time::Duration;

#[repr(C)]
#[derive(Default)]
pub(crate) struct Object {
    event: Event,
}

pub(crate) fn play() -> Play<Object> {
    let case = |name, act| Case::new(name, act, SURVIVORS);
    let cases = vec![
        case("set", |s: Stage<Object>| {
            pause();
            s.event.set();
        })
        .after(set_if_not)
        .with_sleeper()
        .against(|s| s.event.wait()),
        case("clear", |s| {
            s.event.set();
            s.event.clear();
        })
        .after(set_if_not),
        case("wait", |s| s.event.wait())
            .before(|s| Some(Box::new(move || s.event.set())))
            .with_queue(),
        case("wait_timeout", |s| {
            let _ = s.event.wait_timeout(Duration::from_secs(1));
        })
        .before(|s| Some(Box::new(move || s.event.set())))
        .with_queue(),
        case("wait_timeout, in vain", |s| {
            let _ = s.event.wait_timeout(Duration::from_millis(5));
        })
        .before(|s| Some(Box::new(move || s.event.set())))
        .in_vain(),
    ];
    Play { name: "event", object: Object::default, bytes: size_of::<Object>(), cases }
}

const SURVIVORS: &[Survivor<Object>] = &[
    Survivor::waits("wait", |s| {
        s.event.wait();
        if s.event.is_set() { Ok(()) } else { Err("nobody clears it any more".to_owned()) }
    }),
    Survivor::waits("wait_timeout", |s: Stage<Object>| {
        let is_set = s.event.wait_timeout(Duration::from_secs(1));
        if is_set { Ok(()) } else { Err("it was set, and the wait timed out".to_owned()) }
    })
    .alike(),
];

/// The dead has not come to set it: the house does.
fn set_if_not(s: Stage<Object>) {
    if !s.event.is_set() {
        s.event.set();
    }
}
