//! Wrong directories, wrong things under a name, damaged files.

use super::ground::{Ground, NAME, Specimen};
use crate::campaign::{Violation, ensure};
use crossdock::channel::{Receiver, Sender};
use crossdock::{Array, ArrayMut, SharedBlock, registry};
use rustix::fs::{CWD, Mode, chown, mkfifoat};
use rustix::process::Uid;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

/// A user that is not this one.
const OTHER_USER: u32 = 12_345;

type Done = Result<(), Violation>;

/// All that a wrong directory must refuse.
fn use_directory(ground: &Ground) -> Done {
    ground.create_all()?;
    ground.note(&SharedBlock::open(NAME))?;
    ground.note(&ArrayMut::<f32>::zeroed(10))?;
    ground.note(&Receiver::<ArrayMut<f32>>::open(NAME))
}

pub(crate) fn directory_mode(ground: &mut Ground, mode: u32) -> Done {
    ground.make_names()?;
    fs::set_permissions(&ground.names, fs::Permissions::from_mode(mode))?;
    use_directory(ground)?;
    ground.note(&registry::list())
}

pub(crate) fn directory_link(ground: &mut Ground) -> Done {
    let good = ground.names.with_file_name("good");
    fs::create_dir(&good)?;
    fs::set_permissions(&good, fs::Permissions::from_mode(0o700))?;
    symlink(&good, &ground.names)?;
    use_directory(ground)?;
    ensure(fs::read_dir(&good)?.next().is_none(), || "something behind the link".to_owned())
}

pub(crate) fn directory_file(ground: &mut Ground) -> Done {
    fs::write(&ground.names, "no directory")?;
    use_directory(ground)
}

pub(crate) fn directory_no_parent(ground: &mut Ground) -> Done {
    // The row's own directory goes; what it would be in is not there any more.
    let parent = ground.names.parent().ok_or("no parent")?;
    let elsewhere = parent.with_extension("moved");
    fs::rename(parent, &elsewhere)?;
    let done = use_directory(ground);
    fs::rename(&elsewhere, parent)?;
    done
}

pub(crate) fn directory_owner(ground: &mut Ground) -> Done {
    ground.make_names()?;
    chown(&ground.names, Some(Uid::from_raw(OTHER_USER)), None)?;
    use_directory(ground)
}

pub(crate) fn bad_names(ground: &mut Ground) -> Done {
    let long = "n".repeat(201);
    for name in ["", ".", "..", ".parties", "a/b", "/a", "a\0b", "\n", &long] {
        ground.note(&SharedBlock::create(name, 1))?;
        ground.note(&SharedBlock::open(name))?;
        ground.note(&SharedBlock::unlink(name))?;
        ground.note(&Array::<u8>::create(name, 1, |_| 0))?;
        ground.note(&Sender::<Array<u8>>::open_or_create(name, 1))?;
    }
    Ok(())
}

/// Opens and creates over what is under the name, which must stay as it is.
fn over_foreign(ground: &Ground) -> Done {
    let before = fs::symlink_metadata(ground.path(NAME))?.file_type();
    ground.open_all()?;
    ground.create_all()?;
    // Cleaning never removes what is none of ours.
    ground.must("list", registry::list())?;
    ground.must("gc", registry::gc(true))?;
    let after = fs::symlink_metadata(ground.path(NAME))?.file_type();
    ensure(before == after, || "what was under the name has been replaced".to_owned())
}

pub(crate) fn fifo(ground: &mut Ground) -> Done {
    ground.make_names()?;
    mkfifoat(CWD, ground.path(NAME), Mode::RUSR | Mode::WUSR)?;
    over_foreign(ground)
}

pub(crate) fn link(ground: &mut Ground) -> Done {
    let good = SharedBlock::create("good", 100)?;
    symlink(ground.path("good"), ground.path(NAME))?;
    over_foreign(ground)?;
    drop(good);
    Ok(())
}

pub(crate) fn dangling(ground: &mut Ground) -> Done {
    ground.make_names()?;
    symlink("nowhere", ground.path(NAME))?;
    over_foreign(ground)
}

pub(crate) fn directory(ground: &mut Ground) -> Done {
    ground.make_names()?;
    fs::create_dir(ground.path(NAME))?;
    over_foreign(ground)
}

pub(crate) fn socket(ground: &mut Ground) -> Done {
    ground.make_names()?;
    let _socket = UnixListener::bind(ground.path(NAME))?;
    over_foreign(ground)
}

pub(crate) fn short(ground: &mut Ground, lens: Range<usize>) -> Done {
    let sound = ground.specimen(Specimen::Block)?;
    for len in lens {
        ground.plant(&sound[..len])?;
        over_foreign(ground)?;
    }
    Ok(())
}

pub(crate) fn text(ground: &mut Ground) -> Done {
    ground.plant(&b"no crossdock file ".repeat(600))?;
    over_foreign(ground)
}

pub(crate) fn owner(ground: &mut Ground) -> Done {
    let sound = ground.specimen(Specimen::Block)?;
    ground.plant(&sound)?;
    chown(ground.path(NAME), Some(Uid::from_raw(OTHER_USER)), None)?;
    over_foreign(ground)
}

/// Opens a specimen of each kind after a change.
fn changed(ground: &Ground, change: impl Fn(&mut [u8])) -> Done {
    for kind in [Specimen::Block, Specimen::Array, Specimen::Channel] {
        let mut bytes = ground.specimen(kind)?;
        change(&mut bytes);
        ground.plant(&bytes)?;
        ground.open_all()?;
    }
    Ok(())
}

pub(crate) fn version(ground: &mut Ground) -> Done {
    changed(ground, |bytes| bytes[8] += 1)
}

pub(crate) fn byte_order(ground: &mut Ground) -> Done {
    changed(ground, |bytes| {
        bytes[8..12].reverse();
        bytes[16..20].reverse();
    })
}

pub(crate) fn kind(ground: &mut Ground) -> Done {
    let _array = Array::<f32>::create("an-array", 4, |_| 0.0)?;
    let _block = SharedBlock::create("a-block", 4)?;
    let _channel = Sender::<ArrayMut<f32>>::create("a-channel", 1)?;
    ground.note(&SharedBlock::open("an-array"))?;
    ground.note(&SharedBlock::open("a-channel"))?;
    ground.note(&SharedBlock::unlink("an-array"))?;
    ground.note(&Array::<f32>::open("a-block"))?;
    ground.note(&Array::<f32>::open("a-channel"))?;
    ground.note(&Sender::<ArrayMut<f32>>::open("a-block"))?;
    ground.note(&Receiver::<ArrayMut<f32>>::open("an-array"))
}

pub(crate) fn element_type(ground: &mut Ground) -> Done {
    let _array = Array::<f32>::create("an-array", 4, |_| 0.0)?;
    let _channel = Sender::<ArrayMut<f32>>::create("a-channel", 1)?;
    ground.note(&Array::<i32>::open("an-array"))?;
    ground.note(&Array::<f64>::open("an-array"))?;
    ground.note(&Receiver::<ArrayMut<i32>>::open("a-channel"))?;
    ground.note(&Sender::<ArrayMut<u8>>::open_or_create("a-channel", 1))
}

pub(crate) fn message_type(ground: &mut Ground) -> Done {
    let _unique = Sender::<ArrayMut<f32>>::create("unique", 1)?;
    let _shared = Sender::<Array<f32>>::create("shared", 1)?;
    ground.note(&Receiver::<Array<f32>>::open("unique"))?;
    ground.note(&Receiver::<ArrayMut<f32>>::open("shared"))
}

pub(crate) fn truncated(ground: &mut Ground, kind: Specimen) -> Done {
    let sound = ground.specimen(kind)?;
    for len in (0..sound.len()).step_by(64).chain([sound.len() - 1]) {
        ground.plant(&sound[..len])?;
        ground.open_all()?;
    }
    ground.plant(&sound)?;
    match kind {
        Specimen::Block => ground.must("whole", SharedBlock::open(NAME)).map(drop),
        Specimen::Array => ground.must("whole", Array::<f32>::open(NAME)).map(drop),
        Specimen::Channel => ground.must("whole", Receiver::<ArrayMut<f32>>::open(NAME)).map(drop),
    }
}

/// Every byte of the header, changed in four ways.
pub(crate) fn flipped(ground: &mut Ground, kind: Specimen) -> Done {
    let sound = ground.specimen(kind)?;
    for index in 0..256 {
        for change in [0xff, 1, 0x80, ground.rng.below(255) as u8 + 1] {
            let mut bytes = sound.clone();
            bytes[index] ^= change;
            ground.plant(&bytes)?;
            println!("byte {index} ^ {change:#x}");
            ground.open_all()?;
        }
    }
    Ok(())
}

/// A few bytes anywhere in a channel that nobody uses.
pub(crate) fn scrambled(ground: &mut Ground) -> Done {
    let sound = ground.specimen(Specimen::Channel)?;
    for _ in 0..if ground.is_short { 300 } else { 5000 } {
        let mut bytes = sound.clone();
        for _ in 0..1 + ground.rng.below(6) {
            let index = ground.rng.below(bytes.len() as u64) as usize;
            bytes[index] = ground.rng.next() as u8;
        }
        ground.plant(&bytes)?;
        ground.open_all()?;
    }
    Ok(())
}
