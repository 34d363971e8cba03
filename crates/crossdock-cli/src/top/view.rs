//! Draws what the model says, and does nothing else.

use super::model::{Details, Model, Row, Sort};
use crate::output;
use crate::units;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Table, TableState};

/// Cells of the bar that shows how full a channel is.
const BAR_CELLS_MIN: u16 = 5;
const BAR_CELLS_MAX: u16 = 20;
/// Columns for what a channel carries: `ArrayMut<f32>`.
const MESSAGE_COLUMNS_MIN: u16 = 13;
const MESSAGE_COLUMNS_MAX: u16 = 40;
/// Columns of a terminal from which on both grow.
const COLUMNS_USUAL: u16 = 80;
/// Columns for `9999/9999` and the gap before it.
const DEPTH_COLUMNS: u16 = 10;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let rows = [Constraint::Length(1), Constraint::Min(1), Constraint::Length(3)];
    let [head, body, foot] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(title(model), head);
    match &model.details {
        Some(details) => draw_details(frame, body, details),
        None if model.rows.is_empty() => {
            frame.render_widget(Paragraph::new("no channels"), body);
        }
        None => draw_table(frame, body, model),
    }
    frame.render_widget(Paragraph::new(footer(model)), foot);
}

fn title(model: &Model) -> Line<'static> {
    let what = match &model.details {
        Some(details) => details.name.clone(),
        None => count(model.rows.len(), "channel"),
    };
    let every = units::nanoseconds(u64::try_from(model.interval.as_nanos()).unwrap_or(u64::MAX));
    let rest = format!("  {what}  in {}  every {every}", model.directory);
    Line::from(vec![Span::styled("crossdock top", Modifier::BOLD), Span::raw(rest)])
}

fn count(number: usize, what: &str) -> String {
    format!("{} {what}{}", units::count(number), if number == 1 { "" } else { "s" })
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let more = area.width.saturating_sub(COLUMNS_USUAL);
    let bar = (BAR_CELLS_MIN + more / 6).min(BAR_CELLS_MAX);
    let message = (MESSAGE_COLUMNS_MIN + more / 3).min(MESSAGE_COLUMNS_MAX);
    let widths = [
        Constraint::Min(8),
        Constraint::Length(9),
        Constraint::Length(message),
        Constraint::Length(bar + DEPTH_COLUMNS),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(3),
        Constraint::Length(3),
        Constraint::Length(4),
    ];
    let table = Table::new(model.rows.iter().map(|row| cells(row, bar, model)), widths)
        .header(header(model.sort).style(Modifier::BOLD))
        .row_highlight_style(Modifier::REVERSED);
    let mut state = TableState::new().with_selected(model.place());
    frame.render_stateful_widget(table, area, &mut state);
}

/// The column by which the rows are in order is underlined.
fn header(sort: Sort) -> ratatui::widgets::Row<'static> {
    let cell = |text: &'static str, is_left: bool, by: Option<Sort>| {
        let text = if is_left { Text::from(text) } else { Text::from(text).right_aligned() };
        let is_sorted = by == Some(sort);
        let style = if is_sorted { Modifier::UNDERLINED } else { Modifier::empty() };
        Cell::from(text).style(style)
    };
    ratatui::widgets::Row::new([
        cell("name", true, Some(Sort::Name)),
        cell("kind", true, None),
        cell("carries", true, None),
        cell("messages", true, Some(Sort::Depth)),
        cell("msg/s", false, Some(Sort::Rate)),
        cell("bytes", false, None),
        cell("snd", false, None),
        cell("rcv", false, None),
        cell("dead", false, Some(Sort::Dead)),
    ])
}

fn cells(row: &Row, bar: u16, model: &Model) -> ratatui::widgets::Row<'static> {
    let number = |text: String| Cell::from(Text::from(text).right_aligned());
    let dead = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
    let depth = Line::from(vec![
        fill(row, bar, model.is_utf8),
        Span::raw(format!(" {}/{}", short(row.depth), short(row.capacity))),
    ]);
    ratatui::widgets::Row::new([
        Cell::from(row.name.clone()),
        Cell::from(row.kind.clone()),
        Cell::from(row.message.clone()),
        Cell::from(depth),
        number(messages_per_s(row)),
        number(in_flight(row)),
        number(row.senders.to_string()),
        number(row.receivers.to_string()),
        number(row.dead.to_string()).style(if row.dead > 0 { dead } else { Style::new() }),
    ])
}

/// A bar as long as the channel is full: not empty if there is a message, and full only if it is full.
fn fill(row: &Row, cells: u16, is_utf8: bool) -> Span<'static> {
    let cells = usize::from(cells);
    let filled = match (row.depth, row.capacity) {
        (0, _) => 0,
        (depth, capacity) if depth >= capacity => cells,
        _ => ((row.fill() * cells as f64) as usize).clamp(1, cells - 1),
    };
    let (full, empty) = if is_utf8 { ("\u{2588}", "\u{2591}") } else { ("#", ".") };
    let color = match filled {
        _ if filled == cells => Color::Yellow,
        _ => Color::Green,
    };
    Span::styled(full.repeat(filled) + &empty.repeat(cells - filled), Style::new().fg(color))
}

/// A count in at most four characters.
fn short(count: usize) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

fn messages_per_s(row: &Row) -> String {
    row.messages_per_s.map_or_else(
        || "-".to_owned(),
        |rate| match rate {
            ..9.95 if rate.fract() != 0.0 => format!("{rate:.1}"),
            ..99_999.5 => format!("{rate:.0}"),
            ..9_999_500.0 => format!("{:.0}k", rate / 1e3),
            _ => format!("{:.0}M", rate / 1e6),
        },
    )
}

fn in_flight(row: &Row) -> String {
    units::bytes(row.in_flight_bytes)
}

fn footer(model: &Model) -> Vec<Line<'static>> {
    let bytes = units::bytes;
    let totals = model.totals;
    let arenas = format!(
        "{}: {} reserved, {} held, {} free",
        count(totals.arenas, "arena"),
        bytes(totals.reserved_bytes),
        bytes(totals.held_bytes),
        bytes(totals.free_bytes)
    );
    let space = model.space.map_or_else(String::new, |space| {
        let used = space.total_bytes.saturating_sub(space.free_bytes);
        let huge = space.huge_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        format!(
            "shared memory: {} of {} used, {huge} in huge pages",
            bytes(used),
            bytes(space.total_bytes)
        )
    });
    let keys = match (&model.problem, &model.details) {
        (Some(problem), _) => {
            Line::styled(problem.clone(), Style::new().fg(Color::Red).add_modifier(Modifier::BOLD))
        }
        (None, Some(_)) => Line::styled("q quit   Esc back   j k scroll", Modifier::DIM),
        (None, None) => {
            let by = match model.sort {
                Sort::Name => "name",
                Sort::Depth => "how full",
                Sort::Rate => "messages/s",
                Sort::Dead => "dead",
            };
            let text = format!("q quit   j k select   Enter inspect   s sort (by {by})");
            Line::styled(text, Modifier::DIM)
        }
    };
    vec![Line::from(arenas), Line::from(space), keys]
}

fn draw_details(frame: &mut Frame<'_>, area: Rect, details: &Details) {
    let rows = details.text.lines().skip(details.scroll).map(|row| Line::from(row.to_owned()));
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), area);
}

/// The table for who has no terminal.
pub(super) fn plain(model: &Model) -> String {
    let row = |row: &Row| {
        vec![
            row.name.clone(),
            row.kind.clone(),
            row.message.clone(),
            format!("{}/{}", row.depth, row.capacity),
            messages_per_s(row),
            in_flight(row),
            row.senders.to_string(),
            row.receivers.to_string(),
            row.dead.to_string(),
        ]
    };
    let head =
        ["name", "kind", "carries", "messages", "msg/s", "bytes", "senders", "receivers", "dead"];
    let mut text = if model.rows.is_empty() {
        format!("no channels in {}", model.directory)
    } else {
        output::table(&head, model.rows.iter().map(row).collect(), &[3, 4, 5, 6, 7, 8])
    };
    text += "\n";
    for line in footer(model).into_iter().take(2).map(|line| line.to_string()) {
        if !line.is_empty() {
            text += &format!("\n{line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::model::{Totals, tests};
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    /// What is on a screen of this size, row by row.
    fn screen(model: &Model, columns: u16, rows: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, model)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..rows).map(row).map(|row| row.trim_end().to_owned()).collect()
    }

    fn some_model() -> Model {
        let frames = Row {
            depth: 8,
            senders: 1,
            dead: 1,
            messages_per_s: Some(1250.0),
            in_flight_bytes: 4_150_000_000,
            ..tests::row("frames")
        };
        let results = Row {
            message: "(FrameInfo, Array<f64>)".to_owned(),
            depth: 1,
            capacity: 1 << 20,
            senders: 12,
            receivers: 1,
            messages_per_s: Some(0.5),
            ..tests::row("results-of-everybody")
        };
        let mut model = tests::model(vec![frames, results, tests::row("idle")]);
        model.totals = Totals {
            arenas: 2,
            reserved_bytes: 12_600_000,
            held_bytes: 8_400_000,
            free_bytes: 4_200_000,
        };
        model
    }

    #[test]
    fn everything_fits_on_80_by_24() {
        let screen = screen(&some_model(), 80, 24);
        assert_eq!(
            screen[..5],
            [
                "crossdock top  3 channels  in /dev/shm/crossdock-1000  every 1 s",
                "name         kind      carries       messages         msg/s   bytes snd rcv dead",
                "frames       queue     ArrayMut<f32> ##### 8/8         1250 4.15 GB   1   0    1",
                "idle         queue     ArrayMut<f32> ..... 0/8            -     0 B   0   0    0",
                "results-of-e queue     (FrameInfo, A #.... 1/1M         0.5     0 B  12   1    0",
            ]
        );
        assert!(screen[5..21].iter().all(String::is_empty));
        assert_eq!(
            screen[21..],
            [
                "2 arenas: 12.6 MB reserved, 8.40 MB held, 4.20 MB free",
                "",
                "q quit   j k select   Enter inspect   s sort (by name)",
            ]
        );
    }

    #[test]
    fn a_wide_terminal_shows_more_of_names_and_types_and_longer_bars() {
        let mut model = some_model();
        model.is_utf8 = true;
        let screen = screen(&model, 120, 10);
        assert!(screen[4].starts_with("results-of-everybody "), "{}", screen[4]);
        assert!(screen[4].contains(" (FrameInfo, Array<f64>) "), "{}", screen[4]);
        assert!(screen[2].contains(&"\u{2588}".repeat(11)), "{}", screen[2]);
        assert!(screen[4].contains(&format!("\u{2588}{} 1/1M", "\u{2591}".repeat(10))));
    }

    #[test]
    fn the_selected_row_is_reversed_and_scrolled_to() {
        let rows = (0..100).map(|number| tests::row(&format!("c{number:02}"))).collect();
        let mut model = tests::model(rows);
        model.press(KeyCode::End);
        let mut terminal = Terminal::new(TestBackend::new(80, 10)).unwrap();
        terminal.draw(|frame| draw(frame, &model)).unwrap();
        let buffer = terminal.backend().buffer();
        let is_reversed = |y| buffer[(0, y)].modifier.contains(Modifier::REVERSED);
        assert_eq!((0..10).filter(|y| is_reversed(*y)).collect::<Vec<u16>>(), [6]);
        assert_eq!(screen(&model, 80, 10)[6].split(' ').next(), Some("c99"));
    }

    #[test]
    fn the_dead_are_red_and_the_full_are_yellow() {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &some_model())).unwrap();
        let buffer = terminal.backend().buffer();
        assert_eq!(buffer[(79, 2)].fg, Color::Red);
        assert_eq!(buffer[(79, 3)].fg, Color::Reset);
        assert_eq!((buffer[(37, 2)].fg, buffer[(37, 4)].fg), (Color::Yellow, Color::Green));
    }

    #[test]
    fn details_are_scrolled() {
        let mut model = some_model();
        let text: Vec<String> = (0..40).map(|row| format!("row {row}")).collect();
        let text = text.join("\n");
        model.details = Some(Details { name: "frames".to_owned(), text, scroll: 0 });
        model.press(KeyCode::PageDown);
        model.press(KeyCode::Char('j'));
        let screen = screen(&model, 80, 24);
        assert!(screen[0].starts_with("crossdock top  frames  in "), "{}", screen[0]);
        assert_eq!((screen[1].as_str(), screen[20].as_str()), ("row 11", "row 30"));
        assert_eq!(screen[23], "q quit   Esc back   j k scroll");
    }

    #[test]
    fn no_channels_a_problem_and_no_room_are_no_panic() {
        let mut model = tests::model(Vec::new());
        model.problem = Some("cannot look".to_owned());
        let shown = screen(&model, 80, 24);
        assert!(shown[0].starts_with("crossdock top  0 channels  in "), "{}", shown[0]);
        assert_eq!((shown[1].as_str(), shown[23].as_str()), ("no channels", "cannot look"));
        for (columns, rows) in [(1, 1), (5, 3), (20, 4), (79, 2), (300, 1)] {
            screen(&some_model(), columns, rows);
        }
    }

    #[test]
    fn numbers_are_short() {
        let counts = [0, 9_999, 10_000, 123_456, 1 << 20];
        assert_eq!(counts.map(short), ["0", "9999", "10k", "123k", "1M"]);
        let rates = [0.0, 0.54, 9.94, 9.96, 99_999.0, 100_000.0, 2.5e6, 2.5e7];
        let rate = |rate| messages_per_s(&Row { messages_per_s: Some(rate), ..tests::row("a") });
        assert_eq!(rates.map(rate), ["0", "0.5", "9.9", "10", "99999", "100k", "2500k", "25M"]);
    }

    #[test]
    fn the_plain_table_has_all_columns_and_the_totals() {
        let text = plain(&some_model());
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].contains("senders") && rows[0].contains("receivers"), "{text}");
        assert!(
            rows[4].contains("results-of-everybody") && rows[4].contains("1/1048576"),
            "{text}"
        );
        assert_eq!(rows[6], "2 arenas: 12.6 MB reserved, 8.40 MB held, 4.20 MB free");
        let nothing = plain(&tests::model(Vec::new()));
        assert!(nothing.starts_with("no channels in /dev/shm/crossdock-1000\n"), "{nothing}");
    }
}
