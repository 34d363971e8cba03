//! A terminal of 80 by 24 with a process on it, and what can be read on it.

use super::common::LIMIT;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const COLUMNS: usize = 80;
const ROWS: usize = 24;
/// Between two looks whether a process has ended.
const LOOK: Duration = Duration::from_millis(2);

/// A process on a terminal. It is killed if the test gives up.
pub(crate) struct Terminal {
    child: Child,
    /// The end that a terminal window would have.
    keyboard: File,
    /// The process's end.
    line: File,
    before: Termios,
    screen: Screen,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Self {
        // Closed in every process that is started: only so the window can be closed.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = OsStr::from_bytes(name.as_bytes());
        let size =
            Winsize { ws_row: ROWS as u16, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let line = File::options().read(true).write(true).open(path).unwrap();
        let before = tcgetattr(&line).unwrap();
        let end = || Stdio::from(line.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // The command keeps its copies until it is dropped.
        drop(command);
        let keyboard = File::from(master);
        Self { child, keyboard, line, before, screen: Screen::default() }
    }

    /// Takes in what the process writes, if it does so within a time.
    fn read(&mut self, limit: Duration) -> bool {
        let mut ready = [PollFd::new(&self.keyboard, PollFlags::IN)];
        if poll(&mut ready, Some(&Timespec::try_from(limit).unwrap())).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = self.keyboard.read(&mut bytes).unwrap();
        self.screen.take(&bytes[..count]);
        true
    }

    /// Waits until a text can be read in one of the rows.
    pub(crate) fn await_text(&mut self, wanted: &str) {
        let started = Instant::now();
        while !self.screen.rows().iter().any(|row| row.contains(wanted)) {
            let left = LIMIT.saturating_sub(started.elapsed());
            assert!(self.read(left), "{wanted:?} is not on\n{}", self.screen.rows().join("\n"));
        }
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether the process has the terminal to itself.
    pub(crate) fn is_taken_over(&self) -> bool {
        !self.is_as_before() && self.screen.is_alternate
    }

    fn is_as_before(&self) -> bool {
        let (now, before) = (tcgetattr(&self.line).unwrap(), &self.before);
        now.local_modes == before.local_modes
            && now.input_modes == before.input_modes
            && now.output_modes == before.output_modes
    }

    /// Waits for the process to end; it must have given the terminal back.
    pub(crate) fn end(mut self) -> ExitStatus {
        let started = Instant::now();
        let status = loop {
            // What nobody reads would hold it up.
            self.read(LOOK);
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end");
        };
        while self.read(Duration::ZERO) {}
        assert!(self.is_as_before(), "the modes of the terminal are others than before");
        assert!(!self.screen.is_alternate && !self.screen.is_cursor_hidden);
        status
    }

    /// Closes the window and waits for the process to end.
    pub(crate) fn hang_up(mut self) -> ExitStatus {
        let nothing = || File::open("/dev/null").unwrap();
        (self.keyboard, self.line) = (nothing(), nothing());
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end");
            // Only bounds how soon its end is noticed.
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal shows: enough of one for a program that moves the cursor and writes.
#[derive(Default)]
struct Screen {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    is_alternate: bool,
    is_cursor_hidden: bool,
    /// The beginning of an escape sequence.
    sequence: String,
}

impl Screen {
    fn rows(&self) -> Vec<String> {
        self.cells.iter().map(|row| row.iter().collect()).collect()
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let c = char::from(*byte);
            if !self.sequence.is_empty() {
                self.sequence.push(c);
                let is_first = self.sequence.len() == 2;
                if c.is_ascii_alphabetic() || (is_first && c != '[') {
                    let sequence = std::mem::take(&mut self.sequence);
                    self.obey(&sequence);
                }
            } else if c == '\x1b' {
                self.sequence.push(c);
            } else if !c.is_control() {
                self.write(c);
            }
        }
    }

    fn write(&mut self, c: char) {
        self.cells.resize(ROWS, vec![' '; COLUMNS]);
        if let Some(cell) = self.cells.get_mut(self.row).and_then(|row| row.get_mut(self.column)) {
            *cell = c;
        }
        self.column += 1;
    }

    fn obey(&mut self, sequence: &str) {
        match sequence {
            "\x1b[?1049h" => self.is_alternate = true,
            "\x1b[?1049l" => self.is_alternate = false,
            "\x1b[?25l" => self.is_cursor_hidden = true,
            "\x1b[?25h" => self.is_cursor_hidden = false,
            "\x1b[2J" => self.cells.clear(),
            _ => {
                let place = sequence.strip_prefix("\x1b[").and_then(|rest| rest.strip_suffix('H'));
                let Some((row, column)) = place.and_then(|place| place.split_once(';')) else {
                    return;
                };
                self.row = row.parse::<usize>().unwrap() - 1;
                self.column = column.parse::<usize>().unwrap() - 1;
            }
        }
    }
}
