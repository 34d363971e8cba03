//! What `top` knows, and what the keys do to it.

use crate::closeup;
use crossdock::inspect::{Counters, End, Life, Picture, Report, Space, Traffic};
use ratatui::crossterm::event::KeyCode;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

/// Rows of text that Page Up and Page Down go.
const PAGE_ROWS: usize = 10;

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) interval: Duration,
    /// Whether more than ASCII can be shown.
    pub(crate) is_utf8: bool,
    /// Where the names are.
    pub(crate) directory: String,
    /// In the order in which they are shown.
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: Totals,
    pub(crate) space: Option<Space>,
    pub(crate) sort: Sort,
    /// The name of the selected row.
    pub(crate) selected: Option<String>,
    /// All about one channel, instead of the table.
    pub(crate) details: Option<Details>,
    /// Why the last look failed.
    pub(crate) problem: Option<String>,
    picture: Picture,
    seen: Option<Instant>,
}

/// One channel.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) depth: usize,
    pub(crate) capacity: usize,
    /// Senders that live.
    pub(crate) senders: usize,
    /// Receivers that live.
    pub(crate) receivers: usize,
    /// Dead ones, of both.
    pub(crate) dead: usize,
    /// Memory of the messages in it.
    pub(crate) in_flight_bytes: u64,
    pub(crate) counters: Option<Counters>,
    pub(crate) messages_per_s: Option<f64>,
    /// Tells it from one that had the name before.
    pub(crate) created: SystemTime,
}

/// All arenas together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) arenas: usize,
    pub(crate) reserved_bytes: u64,
    pub(crate) held_bytes: u64,
    pub(crate) free_bytes: u64,
}

/// By what the rows are in order; equal ones by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Name,
    /// The fullest first.
    Depth,
    /// The busiest first.
    Rate,
    /// Those with most dead first.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Details {
    pub(crate) name: String,
    pub(crate) text: String,
    /// First row of the text that is shown.
    pub(crate) scroll: usize,
}

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Draw,
    Quit,
}

impl Model {
    pub(crate) fn new(interval: Duration, is_utf8: bool) -> Self {
        Self {
            interval,
            is_utf8,
            directory: crossdock::registry::directory().display().to_string(),
            rows: Vec::new(),
            totals: Totals::default(),
            space: None,
            sort: Sort::Name,
            selected: None,
            details: None,
            problem: None,
            picture: Picture::default(),
            seen: None,
        }
    }

    /// Takes in what was seen at a moment.
    pub(crate) fn see(&mut self, picture: Picture, now: Instant) {
        let rows = picture.reports.iter().filter_map(Row::of).collect();
        let mut totals = Totals { arenas: picture.arenas.len(), ..Totals::default() };
        for arena in &picture.arenas {
            totals.reserved_bytes = totals.reserved_bytes.saturating_add(arena.reserved_bytes);
            totals.held_bytes = totals.held_bytes.saturating_add(arena.held.bytes);
            totals.free_bytes = totals.free_bytes.saturating_add(arena.free_bytes());
        }
        (self.totals, self.space, self.problem) = (totals, picture.space, None);
        self.picture = picture;
        self.take_rows(rows, now);
        self.refresh_details();
    }

    /// Takes in new rows, with the rates since the last ones.
    fn take_rows(&mut self, mut rows: Vec<Row>, now: Instant) {
        let before: HashMap<&str, &Row> =
            self.rows.iter().map(|row| (row.name.as_str(), row)).collect();
        let passed = self.seen.map(|seen| now.saturating_duration_since(seen));
        if let Some(passed) = passed.filter(|passed| !passed.is_zero()) {
            for row in &mut rows {
                if let Some(before) = before.get(row.name.as_str()) {
                    row.measure(before, passed);
                }
            }
        }
        let place = self.place();
        self.rows = rows;
        self.seen = Some(now);
        self.order();
        // If the selected one has gone, then the one in its place is selected.
        if self.place().is_none() {
            self.select(place.unwrap_or(0));
        }
    }

    /// Where the selected row is.
    pub(crate) fn place(&self) -> Option<usize> {
        let name = self.selected.as_ref()?;
        self.rows.iter().position(|row| row.name == *name)
    }

    fn select(&mut self, place: usize) {
        let row = self.rows.get(place).or(self.rows.last());
        self.selected = row.map(|row| row.name.clone());
    }

    fn order(&mut self) {
        self.rows.sort_by(|a, b| a.name.cmp(&b.name));
        match self.sort {
            Sort::Name => {}
            Sort::Depth => self.rows.sort_by(|a, b| b.fill().total_cmp(&a.fill())),
            Sort::Rate => {
                let rate = |row: &Row| row.messages_per_s.unwrap_or(-1.0);
                self.rows.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
            }
            Sort::Dead => self.rows.sort_by_key(|row| Reverse(row.dead)),
        }
    }

    fn refresh_details(&mut self) {
        let Some(details) = &mut self.details else { return };
        let wanted = |report: &&Report| report.entry.name == details.name;
        details.text = match self.picture.reports.iter().find(wanted) {
            Some(report) => {
                closeup::text(report, &closeup::arenas_of(report, &self.picture.arenas))
            }
            None => format!("{:?} has gone", details.name),
        };
        details.scroll = details.scroll.min(details.last_row());
    }

    /// Does what a key is for.
    pub(crate) fn press(&mut self, key: KeyCode) -> After {
        if key == KeyCode::Char('q') {
            return After::Quit;
        }
        if let Some(details) = &mut self.details {
            if matches!(key, KeyCode::Esc | KeyCode::Enter | KeyCode::Backspace | KeyCode::Left) {
                self.details = None;
            } else if let Some(row) = moved(details.scroll, details.last_row(), key) {
                details.scroll = row;
            }
            return After::Draw;
        }
        match key {
            KeyCode::Esc => return After::Quit,
            KeyCode::Enter | KeyCode::Right => {
                if let Some(name) = self.selected.clone() {
                    self.details = Some(Details { name, text: String::new(), scroll: 0 });
                    self.refresh_details();
                }
            }
            KeyCode::Char('s') => {
                self.sort = self.sort.next();
                self.order();
            }
            _ => {
                let last = self.rows.len().saturating_sub(1);
                if let Some(place) = moved(self.place().unwrap_or(0), last, key) {
                    self.select(place);
                }
            }
        }
        After::Draw
    }
}

/// Where a key leads from row `from`; `None` for one that does not move.
fn moved(from: usize, last: usize, key: KeyCode) -> Option<usize> {
    let to = match key {
        KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => from + 1,
        KeyCode::PageUp => from.saturating_sub(PAGE_ROWS),
        KeyCode::PageDown => from + PAGE_ROWS,
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return None,
    };
    Some(to.min(last))
}

impl Details {
    fn last_row(&self) -> usize {
        self.text.lines().count().saturating_sub(1)
    }
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Name => Self::Depth,
            Self::Depth => Self::Rate,
            Self::Rate => Self::Dead,
            Self::Dead => Self::Name,
        }
    }
}

impl Row {
    /// The row of a channel; other names have none.
    fn of(report: &Report) -> Option<Self> {
        let channel = report.entry.channel.as_ref()?;
        let Traffic { kind, members, in_flight, counters, .. } = report.traffic.as_ref()?;
        let living = |end| {
            let is_so = |member: &&crossdock::inspect::Member| {
                member.end == end && member.process.life != Life::Dead
            };
            members.iter().filter(is_so).count()
        };
        let (senders, receivers) = (living(End::Sender), living(End::Receiver));
        let in_flight_bytes =
            in_flight.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes));
        Some(Self {
            name: report.entry.name.clone(),
            kind: kind.to_string(),
            message: channel.message.clone(),
            depth: channel.depth,
            capacity: channel.capacity,
            senders,
            receivers,
            dead: members.len() - senders - receivers,
            in_flight_bytes,
            counters: *counters,
            messages_per_s: None,
            created: report.entry.created,
        })
    }

    /// How full it is, from 0 to 1.
    pub(crate) fn fill(&self) -> f64 {
        (self.depth as f64 / self.capacity.max(1) as f64).min(1.0)
    }

    /// What has been sent since it was `before`.
    fn measure(&mut self, before: &Self, passed: Duration) {
        // Another channel may have come under the name.
        let (Some(now), Some(then)) = (self.counters, before.counters) else { return };
        if before.created != self.created {
            return;
        }
        let more = now.sent.checked_sub(then.sent);
        self.messages_per_s = more.map(|more| more as f64 / passed.as_secs_f64());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A channel without messages or members.
    pub(crate) fn row(name: &str) -> Row {
        Row {
            name: name.to_owned(),
            kind: "queue".to_owned(),
            message: "ArrayMut<f32>".to_owned(),
            depth: 0,
            capacity: 8,
            senders: 0,
            receivers: 0,
            dead: 0,
            in_flight_bytes: 0,
            counters: None,
            messages_per_s: None,
            created: SystemTime::UNIX_EPOCH,
        }
    }

    /// A model that has seen these rows.
    pub(crate) fn model(rows: Vec<Row>) -> Model {
        let mut model = Model::new(Duration::from_secs(1), false);
        model.directory = "/dev/shm/crossdock-1000".to_owned();
        model.take_rows(rows, Instant::now());
        model
    }

    fn counted(name: &str, sent: u64) -> Row {
        let mut counters = Counters::default();
        counters.sent = sent;
        Row { counters: Some(counters), ..row(name) }
    }

    fn names(model: &Model) -> Vec<&str> {
        model.rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn rates_are_what_was_sent_since_the_last_look() {
        let start = Instant::now();
        let mut model = model(Vec::new());
        model.take_rows(vec![counted("a", 100), row("b")], start);
        assert_eq!(model.rows[0].messages_per_s, None, "one look is not enough");
        let later = start + Duration::from_millis(500);
        model.take_rows(vec![counted("a", 150), row("b")], later);
        assert_eq!(model.rows[0].messages_per_s, Some(100.0));
        assert_eq!(model.rows[1].messages_per_s, None, "not recorded");
        let later = later + Duration::from_secs(2);
        model.take_rows(vec![counted("a", 152)], later);
        assert_eq!(model.rows[0].messages_per_s, Some(1.0));
    }

    #[test]
    fn another_channel_of_the_same_name_begins_anew() {
        let start = Instant::now();
        let mut model = model(Vec::new());
        model.take_rows(vec![counted("a", 100)], start);
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        let other = Row { created, ..counted("a", 300) };
        model.take_rows(vec![other], start + Duration::from_secs(1));
        assert_eq!(model.rows[0].messages_per_s, None);
        let spoilt = Row { created, ..counted("a", 7) };
        model.take_rows(vec![spoilt], start + Duration::from_secs(2));
        assert_eq!(model.rows[0].messages_per_s, None, "a count that goes back is none");
    }

    #[test]
    fn the_selection_stays_with_its_channel_and_moves_on_when_that_goes() {
        let mut model = model(vec![row("a"), row("b"), row("c")]);
        assert_eq!(model.selected.as_deref(), Some("a"));
        for key in [KeyCode::Down, KeyCode::Char('j'), KeyCode::Down] {
            assert_eq!(model.press(key), After::Draw);
        }
        assert_eq!(model.selected.as_deref(), Some("c"), "it ends at the last one");
        model.press(KeyCode::Char('k'));
        model.take_rows(vec![row("0"), row("a"), row("b"), row("c")], Instant::now());
        assert_eq!(model.selected.as_deref(), Some("b"));
        model.take_rows(vec![row("0"), row("a"), row("c")], Instant::now());
        assert_eq!(model.selected.as_deref(), Some("c"), "the one in its place");
        model.take_rows(vec![row("0")], Instant::now());
        assert_eq!(model.selected.as_deref(), Some("0"));
        model.take_rows(Vec::new(), Instant::now());
        assert_eq!(model.selected, None);
        for key in [KeyCode::Up, KeyCode::End, KeyCode::Enter, KeyCode::Char('s')] {
            assert_eq!(model.press(key), After::Draw);
        }
        assert!(model.details.is_none(), "there is nothing to show");
    }

    #[test]
    fn s_sorts_by_name_fill_rate_and_the_dead() {
        let a = Row { dead: 1, ..row("a") };
        let b = Row { depth: 8, ..row("b") };
        let c = Row { depth: 4, messages_per_s: Some(0.0), ..row("c") };
        let mut model = model(vec![c, b, a]);
        let mut orders = vec![names(&model).concat()];
        for _ in 0..4 {
            model.press(KeyCode::Char('s'));
            orders.push(names(&model).concat());
        }
        assert_eq!(orders, ["abc", "bca", "cab", "abc", "abc"]);
        assert_eq!(model.sort, Sort::Name);
    }

    #[test]
    fn enter_shows_details_and_escape_first_leaves_them() {
        let mut model = model(vec![row("a")]);
        model.press(KeyCode::Enter);
        let details = model.details.as_ref().unwrap();
        assert_eq!((details.name.as_str(), details.text.as_str()), ("a", "\"a\" has gone"));
        model.press(KeyCode::Down);
        assert_eq!(model.details.as_ref().unwrap().scroll, 0, "it has one row");
        assert_eq!(model.press(KeyCode::Esc), After::Draw);
        assert!(model.details.is_none());
        assert_eq!(model.press(KeyCode::Esc), After::Quit);
        model.press(KeyCode::Enter);
        assert_eq!(model.press(KeyCode::Char('q')), After::Quit);
    }
}
