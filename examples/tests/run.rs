//! Runs every example as its reader would.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{env, fs, process, thread};

/// Nothing here takes so long, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(120);

/// A directory of names for one test.
struct World {
    names: PathBuf,
}

impl World {
    fn new(test: &str) -> Self {
        Self { names: format!("/dev/shm/crossdock-examples-{}-{test}", process::id()).into() }
    }

    fn start(&self, example: &str) -> Running {
        // Next to the tests: target/<profile>/examples.
        let test = env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples").join(example);
        assert!(program.exists(), "{program:?}: run `cargo test -p crossdock-examples`");
        let mut command = Command::new(program);
        command.env("CROSSDOCK_DIR", &self.names);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = all_of(child.stdout.take().unwrap());
        let stderr = all_of(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Asserts that nothing is left.
    fn end(self) {
        let left = fs::read_dir(&self.names).map_or(0, Iterator::count);
        assert_eq!(left, 0, "left behind in {:?}", self.names);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.names);
    }
}

/// A process that is killed if the test gives up.
struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Running {
    fn end(mut self) -> Output {
        let stdout = self.stdout.recv_timeout(LIMIT).unwrap();
        let stderr = self.stderr.recv_timeout(LIMIT).unwrap();
        Output { status: self.child.wait().unwrap(), stdout, stderr }
    }

    /// What it prints, if it succeeds.
    fn printed(self) -> String {
        let output = self.end();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all_of(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = tx.send(bytes);
    });
    rx
}

#[test]
fn hello_hands_over_to_another_process() {
    let world = World::new("hello");
    let printed = world.start("hello").printed();
    assert!(printed.contains("producer: sends [1080, 1920], 8294400 bytes"), "{printed}");
    assert!(printed.contains("consumer: got [1080, 1920], the sum is 1036800"), "{printed}");
    world.end();
}

#[test]
fn locks_survive_the_death_of_their_owner() {
    let world = World::new("locks");
    let printed = world.start("locks").printed();
    assert!(printed.contains("clumsy:   took 30 from the first"), "{printed}");
    assert!(printed.contains("survivor: finds [30, 40]"), "{printed}");
    assert!(printed.contains("goes on with [30, 70], the sum is 100"), "{printed}");
    world.end();
}

#[test]
fn pipeline_finds_every_image_as_it_must_be() {
    let world = World::new("pipeline");
    let printed = world.start("pipeline").printed();
    assert!(printed.contains("image 7: mean brightness 0.3281"), "{printed}");
    assert!(printed.contains("8 of 8 images are as they must be"), "{printed}");
    world.end();
}

#[test]
fn tasks_of_one_thread_miss_no_frame() {
    let world = World::new("tasks");
    let printed = world.start("tasks").printed();
    assert!(printed.contains("display:  50 frames, 0 missed"), "{printed}");
    assert!(printed.contains("recorder: 15360000 bytes"), "{printed}");
    assert!(printed.contains("the last exposure is 24.5 ms"), "{printed}");
    world.end();
}

#[test]
fn processes_count_primes_and_tell_of_their_ends() {
    let world = World::new("processes");
    let printed = world.start("processes").printed();
    assert!(printed.contains("78498 primes below 1000000"), "{printed}");
    assert!(printed.contains("it panicked: index out of bounds"), "{printed}");
    assert!(printed.contains("killed by signal 9"), "{printed}");
    world.end();
}

#[test]
fn pool_goes_on_when_a_worker_dies() {
    let world = World::new("pool");
    let printed = world.start("pool").printed();
    assert!(printed.contains("pi is about 3.14"), "{printed}");
    assert!(printed.contains("% of the plane"), "{printed}");
    assert!(printed.contains("ended with code 3"), "{printed}");
    assert!(printed.contains("6 x 7 = 42"), "{printed}");
    world.end();
}

#[test]
fn producer_and_consumer_meet_in_either_order() {
    for order in [["producer", "consumer"], ["consumer", "producer"]] {
        let world = World::new(order[0]);
        let [first, second] = order.map(|example| world.start(example));
        let printed = first.printed() + &second.printed();
        assert!(printed.contains("consumer: received 600 frames, 0 missing"), "{printed}");
        assert!(printed.contains(" frames/s"), "{printed}");
        world.end();
    }
}

#[test]
fn those_who_wait_alone_say_what_is_missing() {
    let (without, missing) = (World::new("alone-producer"), World::new("alone-consumer"));
    let lonely = [without.start("producer"), missing.start("consumer")];
    for (running, peer) in lonely.into_iter().zip(["consumer", "producer"]) {
        let output = running.end();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("--example {peer}")), "{text}");
    }
    without.end();
    missing.end();
}
