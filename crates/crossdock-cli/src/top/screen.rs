//! The terminal: taken over, drawn on, and given back whatever happens.
//!
//! One thread waits for keys and one for signals, so that this one waits for both and for the next look at
//! once. If the terminal goes away, the thread that reads it may never hear of that: drawing fails, then.

use super::model::{After, Model};
use super::view;
use crate::failure::{Failure, Result};
use crossdock::inspect;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

/// What there is to react to.
enum Input {
    Event(Event),
    /// It asks this process to end.
    Signal(i32),
    /// There will be no more keys.
    Failed(io::Error),
}

/// Why there is nothing more to show.
enum Ended {
    ByKey,
    BySignal(i32),
}

/// The terminal, in the state in which it was found once this is dropped. A panic gives it back before it
/// says anything: [`ratatui::try_init`] sees to that.
struct Screen {
    terminal: ManuallyDrop<DefaultTerminal>,
}

impl Screen {
    fn take() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal: ManuallyDrop::new(terminal) }),
            Err(error) => {
                // It may have got half way.
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal's own drop would do no more than this, and complain to a standard error that may
        // have gone, which is a panic. If the terminal has gone there is nothing to give back.
        let _ = self.terminal.show_cursor();
        if !thread::panicking() {
            // A second time would put the cursor back onto what the panic has said.
            let _ = ratatui::try_restore();
        }
    }
}

/// Shows everything until a key, or a signal, ends it.
pub(super) fn run(mut model: Model) -> Result<()> {
    let cannot = "cannot use the terminal";
    let signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(Failure::os("cannot catch signals"))?;
    let mut screen = Screen::take().map_err(Failure::os(cannot))?;
    let inputs = inputs(signals);
    let outcome = show(&mut screen.terminal, &mut model, &inputs).map_err(Failure::os(cannot));
    drop(screen);
    match outcome? {
        Ended::ByKey => Ok(()),
        // Now that the terminal is as it was: ends as if the signal had not been caught.
        Ended::BySignal(signal) => {
            emulate_default_handler(signal).map_err(Failure::os("cannot end as the signal wants"))
        }
    }
}

/// Keys and signals, in the order in which they come.
fn inputs(mut signals: Signals) -> Receiver<Input> {
    let (tx, inputs) = mpsc::channel();
    let keys = tx.clone();
    thread::spawn(move || {
        loop {
            let input = event::read().map_or_else(Input::Failed, Input::Event);
            let is_last = matches!(input, Input::Failed(_));
            if keys.send(input).is_err() || is_last {
                return;
            }
        }
    });
    thread::spawn(move || {
        for signal in signals.forever() {
            if tx.send(Input::Signal(signal)).is_err() {
                return;
            }
        }
    });
    inputs
}

fn show(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    inputs: &Receiver<Input>,
) -> io::Result<Ended> {
    let mut next_look = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_look {
            match inspect::look() {
                Ok(picture) => model.see(picture, Instant::now()),
                Err(error) => model.problem = Some(error.to_string()),
            }
            next_look = now + model.interval;
        }
        terminal.draw(|frame| view::draw(frame, model))?;
        match inputs.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
            Ok(Input::Event(Event::Key(key))) if press(model, key) == After::Quit => {
                return Ok(Ended::ByKey);
            }
            Ok(Input::Event(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Input::Signal(signal)) => return Ok(Ended::BySignal(signal)),
            Ok(Input::Failed(error)) => return Err(error),
            Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

fn press(model: &mut Model, key: KeyEvent) -> After {
    if key.kind == KeyEventKind::Release {
        return After::Draw;
    }
    // In raw mode it is a key, not a signal.
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_interrupt { After::Quit } else { model.press(key.code) }
}
