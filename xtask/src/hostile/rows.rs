//! The rows: what is wrong, and what must come of it.

use super::ground::{Ground, Specimen};
use super::{foreign, live, mutator, space};
use crate::campaign::Violation;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// One thing that is wrong.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The outcomes that may come.
    pub(crate) expected: &'static [&'static str],
    /// Whether all of them must come.
    pub(crate) is_exact: bool,
    pub(crate) needs: Needs,
    /// Whether nothing is left once what was planted has been removed.
    pub(crate) is_swept: bool,
    /// Processes that make up the row.
    pub(crate) times: u64,
    pub(crate) run: fn(&mut Ground) -> Result<(), Violation>,
}

/// What a machine must allow for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Root,
    /// A file system of 64 MiB of the row's own.
    SmallDisk,
    /// The same, with room for a few files.
    FewInodes,
}

impl Needs {
    /// The command that makes it possible; `None` if nothing does.
    pub(crate) fn prefix(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Nothing => Some(&[]),
            Self::Root => rustix::process::geteuid().is_root().then_some(&[]),
            Self::SmallDisk | Self::FewInodes => mount_prefix(),
        }
    }

    /// Why the machine cannot.
    pub(crate) fn lack(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Root => "not root",
            Self::SmallDisk | Self::FewInodes => "no mount namespace",
        }
    }
}

/// How a mount namespace can be had here, if at all.
fn mount_prefix() -> Option<&'static [&'static str]> {
    static FOUND: OnceLock<Option<&'static [&'static str]>> = OnceLock::new();
    const WAYS: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-Urm"]];
    *FOUND.get_or_init(|| {
        WAYS.into_iter().find(|way| {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    })
}

const fn row(
    name: &'static str,
    expected: &'static [&'static str],
    run: fn(&mut Ground) -> Result<(), Violation>,
) -> Row {
    Row { name, expected, is_exact: true, needs: Needs::Nothing, is_swept: true, times: 1, run }
}

const fn needing(needs: Needs, row: Row) -> Row {
    Row { needs, ..row }
}

/// A row that may come to any of its outcomes, `times` processes.
const fn any(times: u64, row: Row) -> Row {
    Row { is_exact: false, times, ..row }
}

/// A row after which the directory of names is beyond repair.
const fn ruinous(row: Row) -> Row {
    Row { is_swept: false, ..row }
}

/// What damaged bytes may come to: any error but one that only the operating system explains.
const DAMAGED: &[&str] = &["Ok", "typed"];
/// What opening and creating over a thing that is none of ours comes to.
const FOREIGN: &[&str] = &["WrongKind"];
const NO_SPACE: &[&str] = &["NoSpace"];
const NO_DIRECTORY: &[&str] = &["WrongKind"];
const DENIED: &[&str] = &["PermissionDenied"];

pub(crate) const ROWS: &[Row] = &[
    ruinous(row("directory: mode 0755", DENIED, |ground| foreign::directory_mode(ground, 0o755))),
    ruinous(row("directory: mode 0701", DENIED, |ground| foreign::directory_mode(ground, 0o701))),
    ruinous(any(1, row("directory: a link to a good one", NO_DIRECTORY, foreign::directory_link))),
    ruinous(any(1, row("directory: a file", NO_DIRECTORY, foreign::directory_file))),
    ruinous(row("directory: no parent", &["NotFound"], foreign::directory_no_parent)),
    ruinous(needing(
        Needs::Root,
        row("directory: another user's", DENIED, foreign::directory_owner),
    )),
    row("name: empty, too long, with a slash", &["InvalidName"], foreign::bad_names),
    row("name: a FIFO", FOREIGN, foreign::fifo),
    row("name: a link to a good block", FOREIGN, foreign::link),
    row("name: a dangling link", FOREIGN, foreign::dangling),
    row("name: a directory", FOREIGN, foreign::directory),
    row("name: a socket", FOREIGN, foreign::socket),
    row("name: an empty file", FOREIGN, |ground| foreign::short(ground, 0..1)),
    row("name: a file of 1 to 255 bytes", FOREIGN, |ground| foreign::short(ground, 1..256)),
    row("name: a text of 10,000 bytes", FOREIGN, foreign::text),
    needing(Needs::Root, row("name: another user's file", FOREIGN, foreign::owner)),
    row("other version", &["WrongVersion"], foreign::version),
    row("other byte order", &["WrongVersion"], foreign::byte_order),
    row("other kind", &["WrongKind"], foreign::kind),
    row("other element type", &["WrongType"], foreign::element_type),
    row("unique for shared messages", &["WrongType"], foreign::message_type),
    row("truncated block", &["WrongKind", "Corrupt"], |g| foreign::truncated(g, Specimen::Block)),
    row("truncated array", &["WrongKind", "Corrupt"], |g| foreign::truncated(g, Specimen::Array)),
    row("truncated channel", &["WrongKind", "Corrupt"], |ground| {
        foreign::truncated(ground, Specimen::Channel)
    }),
    any(1, row("header bytes of a block", DAMAGED, |g| foreign::flipped(g, Specimen::Block))),
    any(1, row("header bytes of an array", DAMAGED, |g| foreign::flipped(g, Specimen::Array))),
    any(1, row("header bytes of a channel", DAMAGED, |g| foreign::flipped(g, Specimen::Channel))),
    any(1, row("any bytes of an idle channel", DAMAGED, foreign::scrambled)),
    ruinous(any(340, row("truncated table of parties", DAMAGED, live::truncated_parties))),
    ruinous(any(100, row("scrambled table of parties", DAMAGED, live::scrambled_parties))),
    ruinous(any(
        66,
        row("truncated arena", &["Ok", "Corrupt", "WrongKind"], live::truncated_arena),
    )),
    ruinous(any(66, row("truncated region", &["Ok", "Corrupt", "Stale"], live::truncated_region))),
    ruinous(any(4, row("live mutator: a channel", &["Ok"], mutator::channel))),
    ruinous(any(4, row("live mutator: the arenas' tables", &["Ok"], mutator::arena))),
    ruinous(any(4, row("live mutator: the table of parties", &["Ok"], mutator::parties))),
    ruinous(any(4, row("live mutator: all of these", &["Ok"], mutator::everything))),
    row("plain POSIX name left by a killed maker", &["AlreadyExists", "Ok"], live::stale_posix),
    row("plain POSIX name, empty", &["Corrupt"], live::empty_posix),
    row("32 descriptors, many named arrays", &["LimitExceeded"], space::few_descriptors),
    row("32 descriptors, many arrays", &["Ok"], space::few_descriptors_arena),
    row("400 MB of address space", &["NoSpace"], space::little_address_space),
    needing(Needs::SmallDisk, row("64 MiB: block create", NO_SPACE, space::block)),
    needing(Needs::SmallDisk, row("64 MiB: block grow", NO_SPACE, space::block_grow)),
    needing(Needs::SmallDisk, row("64 MiB: array create", NO_SPACE, space::array)),
    needing(Needs::SmallDisk, row("64 MiB: channel create", NO_SPACE, space::channel)),
    needing(Needs::SmallDisk, row("64 MiB: arena until full", NO_SPACE, space::arena)),
    needing(Needs::SmallDisk, row("64 MiB: small arrays until full", NO_SPACE, space::arena_small)),
    needing(Needs::SmallDisk, row("64 MiB: map and list until full", NO_SPACE, space::map)),
    needing(Needs::SmallDisk, row("full: everything", NO_SPACE, space::full)),
    needing(Needs::FewInodes, row("no file numbers left", NO_SPACE, space::few_inodes)),
];
