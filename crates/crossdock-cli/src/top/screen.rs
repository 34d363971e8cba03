//! The terminal: taken over, drawn on, and given back whatever happens.

use super::model::{After, Model};
use super::view;
use crate::failure::{Failure, Result};
use crossdock::inspect;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a signal may go unnoticed.
const SLICE: Duration = Duration::from_millis(100);

/// The terminal, in the state in which it was found once this is dropped. A panic gives it back before it
/// says anything: [`ratatui::try_init`] sees to that.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn take() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self { terminal }),
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
        // If the terminal has gone there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}

/// The last signal that asked this process to end, or 0.
struct Signals(Arc<AtomicUsize>);

impl Signals {
    fn catch() -> io::Result<Self> {
        let caught = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&caught), number)?;
        }
        Ok(Self(caught))
    }

    fn caught(&self) -> i32 {
        i32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// Shows everything until a key, or a signal, ends it.
pub(super) fn run(mut model: Model) -> Result<()> {
    let cannot = "cannot use the terminal";
    let signals = Signals::catch().map_err(Failure::os("cannot catch signals"))?;
    let mut screen = Screen::take().map_err(Failure::os(cannot))?;
    let outcome = show(&mut screen.terminal, &mut model, &signals).map_err(Failure::os(cannot));
    drop(screen);
    match signals.caught() {
        0 => outcome,
        // Now that the terminal is as it was: ends as if the signal had not been caught.
        signal => signal_hook::low_level::emulate_default_handler(signal)
            .map_err(Failure::os("cannot end as the signal wants")),
    }
}

fn show(terminal: &mut DefaultTerminal, model: &mut Model, signals: &Signals) -> io::Result<()> {
    let mut next_look = Instant::now();
    while signals.caught() == 0 {
        let now = Instant::now();
        if now >= next_look {
            match inspect::look() {
                Ok(picture) => model.see(picture, Instant::now()),
                Err(error) => model.problem = Some(error.to_string()),
            }
            next_look = now + model.interval;
        }
        terminal.draw(|frame| view::draw(frame, model))?;
        if answer_keys(model, next_look, signals)? == After::Quit {
            break;
        }
    }
    Ok(())
}

/// Waits for keys until it is time to draw.
fn answer_keys(model: &mut Model, next_look: Instant, signals: &Signals) -> io::Result<After> {
    loop {
        let left = next_look.saturating_duration_since(Instant::now());
        if left.is_zero() || signals.caught() != 0 {
            return Ok(After::Draw);
        }
        if !event::poll(left.min(SLICE))? {
            continue;
        }
        match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => return Ok(press(model, key)),
            Event::Resize(..) => return Ok(After::Draw),
            _ => {}
        }
    }
}

fn press(model: &mut Model, key: KeyEvent) -> After {
    // In raw mode it is a key, not a signal.
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if is_interrupt { After::Quit } else { model.press(key.code) }
}
