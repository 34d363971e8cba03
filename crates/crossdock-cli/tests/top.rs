//! `crossdock top`, and what `crossdock inspect` says of channels, with real processes.

#![allow(clippy::unwrap_used, reason = "a test that fails to set up has failed")]

mod common;
mod terminal;

use common::{LIMIT, Running, World};
use crossdock::ArrayMut;
use crossdock::channel::{Receiver, Sender};
use serde_json::{Value, json};
use std::io::{self, Read};
use std::process::Command;
use terminal::Terminal;

/// Tells the other processes of the tests what they are.
const ROLE: &str = "CROSSDOCK_TEST_ROLE";

/// Makes a channel with three messages in it and has it until its input ends.
#[test]
fn sender() {
    if std::env::var(ROLE).as_deref() == Ok("sender") {
        let tx = Sender::<ArrayMut<f32>>::create("frames", 8).unwrap();
        for _ in 0..3 {
            tx.send(tx.loan([512, 512]).unwrap()).unwrap();
        }
        eprintln!("\nready");
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
}

/// Takes one of them and keeps it until its input ends.
#[test]
fn receiver() {
    if std::env::var(ROLE).as_deref() == Ok("receiver") {
        let rx = Receiver::<ArrayMut<f32>>::open_timeout("frames", LIMIT).unwrap();
        let _held = rx.recv().unwrap();
        eprintln!("\nready");
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
}

fn start(world: &World, role: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", role, "--nocapture"])
        .env(ROLE, role)
        .env("CROSSDOCK_DIR", &world.names);
    let mut running = Running::start(command);
    running.await_stderr("\nready\n");
    running
}

/// Three messages of 1 MiB were sent, one was received.
const MIB: u64 = 1 << 20;

#[test]
fn a_killed_receiver_is_shown_as_dead_with_what_it_holds() {
    let world = World::new();
    let sender = start(&world, "sender");
    let mut receiver = start(&world, "receiver");
    let alive = world.json(&["inspect", "frames", "--json"]);
    let members = &alive["traffic"]["members"];
    assert_eq!(members[0]["pid"], sender.pid());
    assert_eq!((&members[0]["end"], &members[0]["life"]), (&json!("sender"), &json!("alive")));
    assert_eq!((&members[1]["end"], &members[1]["life"]), (&json!("receiver"), &json!("alive")));
    assert_eq!((&members[1]["held_chunks"], &members[1]["held_bytes"]), (&json!(1), &json!(MIB)));
    let (pid, sender_pid) = (receiver.pid(), sender.pid());

    receiver.kill();
    let dead = world.json(&["inspect", "frames", "--json"]);
    assert_eq!(dead["channel"]["depth"], 2);
    let traffic = &dead["traffic"];
    let counters = json!({
        "sent": 3, "received": 1, "dropped": 0, "redelivered": 0, "lost": 0, "dead_letters": 0,
    });
    assert_eq!((&traffic["kind"], &traffic["counters"]), (&json!("queue"), &counters));
    let receiver = &traffic["members"][1];
    assert_eq!((&receiver["pid"], &receiver["life"]), (&json!(pid), &json!("dead")));
    assert_eq!((&receiver["held_bytes"], &receiver["is_elsewhere"]), (&json!(MIB), &json!(false)));
    let in_flight = traffic["in_flight"].as_array().unwrap();
    assert_eq!(in_flight.len(), 2);
    assert_eq!(
        (&in_flight[0]["shape"], &in_flight[0]["dtype"]),
        (&json!([512, 512]), &json!("f32"))
    );
    assert_eq!(in_flight[0]["owner"]["pid"], sender_pid);
    let arena = &dead["arenas"][0];
    assert_eq!(
        (&arena["owner"]["pid"], &arena["held_bytes"]),
        (&json!(sender_pid), &json!(3 * MIB))
    );

    let text = world.run(&["inspect", "frames"]).stdout;
    for part in [
        "kind      channel, queue\ncarries   ArrayMut<f32>\nmessages  2 of 8\n",
        "\nso far    3 sent, 1 received, 0 dropped, 0 redelivered, 0 lost, 0 dead letters\n",
        &format!("\n receiver   {pid}   dead    1 chunk, 1.05 MB"),
        &format!("\n f32 512 x 512   1.05 MB   pid {sender_pid}"),
        "\nwhat the dead hold comes back when somebody waits for it, or by `crossdock gc --yes`\n",
        &format!("frames 2.10 MB, pid {pid} (dead) 1.05 MB"),
    ] {
        let text = squeezed(&text);
        assert!(text.contains(&squeezed(part)), "{part:?} is not in\n{text}");
    }
    assert!(sender.end().status.success());
    world.end();
}

/// Columns are as wide as the process ids make them.
fn squeezed(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_misspelled_name_is_answered_with_the_right_one() {
    let world = World::new();
    let sender = start(&world, "sender");
    for (name, answer) in [
        ("frmaes", "(is it \"frames\"?)"),
        ("FRAME", "(is it \"frames\"?)"),
        ("nothing", "(`crossdock ls` lists the 1 name)"),
    ] {
        let ended = world.run(&["inspect", name, "--json"]);
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""));
        assert!(
            ended.stderr.contains(&format!("nothing has the name {name:?}")),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(answer), "{}", ended.stderr);
    }
    let refused = world.run(&["inspect", "../frames"]).stderr;
    assert!(refused.contains("cannot be a name"), "{refused}");
    assert!(sender.end().status.success());
    world.end();
}

#[test]
fn one_look_at_everything_is_one_json_object_or_one_table() {
    let world = World::new();
    let nothing = world.json(&["top", "--once", "--json"]);
    assert_eq!((&nothing["channels"], &nothing["space"]), (&json!([]), &Value::Null));
    assert!(!world.names.exists(), "looking makes nothing");

    let sender = start(&world, "sender");
    let mut receiver = start(&world, "receiver");
    receiver.kill();
    let top = world.json(&["top", "--once", "--json"]);
    assert_eq!(top["channels"].as_array().unwrap().len(), 1);
    let mut channel = top["channels"][0].clone();
    let wanted = json!({
        "name": "frames", "kind": "queue", "message": "ArrayMut<f32>", "depth": 2, "capacity": 8,
        "in_flight_bytes": 2 * MIB, "senders": 1, "receivers": 0, "dead": 1,
        "counters": {"sent": 3, "received": 1, "dropped": 0, "redelivered": 0, "lost": 0, "dead_letters": 0},
        "messages_per_s": null,
    });
    assert_eq!(channel.take(), wanted);
    assert_eq!(
        (&top["arenas"]["count"], &top["arenas"]["held_bytes"]),
        (&json!(1), &json!(3 * MIB))
    );
    assert!(top["arenas"]["reserved_bytes"].as_u64() >= Some(3 * MIB), "{top}");
    assert!(top["space"]["total_bytes"].as_u64() > Some(3 * MIB), "{top}");

    let table = squeezed(&world.run(&["top", "--once"]).stdout);
    assert!(table.contains("\nframes queue ArrayMut<f32> 2/8 - 2.10 MB 1 0 1\n"), "{table}");
    assert!(table.contains("1 arena: 3.15 MB reserved, 3.15 MB held, 0 B free\n"), "{table}");
    assert!(sender.end().status.success());
    world.end();
}

#[test]
fn programs_get_an_object_a_line_until_they_close_the_pipe() {
    let world = World::new();
    let sender = start(&world, "sender");
    let mut top = world.start(&["top", "--json", "--interval", "50ms"]);
    let mut before = 0.0;
    for _ in 0..3 {
        let look: Value = serde_json::from_str(&top.next_stdout()).unwrap();
        assert_eq!(look["channels"][0]["depth"], 3);
        let at = look["at_s"].as_f64().unwrap();
        assert!(at > before, "{at} is not after {before}");
        before = at;
    }
    top.close_stdout();
    assert!(top.end().status.success());
    assert!(sender.end().status.success());
    world.end();
}

#[test]
fn without_a_terminal_top_says_what_to_use() {
    let world = World::new();
    let ended = world.run(&["top"]);
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("use --once or --json"), "{}", ended.stderr);
    let ended = world.run(&["top", "--interval", "1ms"]);
    assert!(ended.stderr.contains("the least is 50 ms"), "{}", ended.stderr);
    world.end();
}

fn start_top(world: &World) -> Terminal {
    let mut command = world.command();
    command.args(["top", "--interval", "50ms"]).env("LC_ALL", "C");
    Terminal::start(command)
}

#[test]
fn on_a_terminal_channels_come_live_are_inspected_and_q_quits() {
    let world = World::new();
    let mut top = start_top(&world);
    top.await_text("no channels");
    let sender = start(&world, "sender");
    top.await_text(
        "frames       queue     ArrayMut<f32> #.... 3/8            0 3.15 MB   1   0    0",
    );
    let mut receiver = start(&world, "receiver");
    top.await_text("#.... 2/8            0 2.10 MB   1   1    0");
    receiver.kill();
    top.await_text("#.... 2/8            0 2.10 MB   1   0    1");
    top.await_text("1 arena: 3.15 MB reserved, 3.15 MB held, 0 B free");
    top.press(b"s");
    top.await_text("s sort (by how full)");
    top.press(b"\r");
    top.await_text("kind      channel, queue");
    top.await_text("f32 512 x 512");
    top.press(b"\x1b[D");
    top.await_text("Enter inspect");
    assert!(sender.end().status.success());
    top.await_text("no channels");
    assert!(top.is_taken_over());
    top.press(b"q");
    assert!(top.end().success());
    world.end();
}

#[test]
fn the_terminal_is_given_back_after_control_c_and_after_a_signal() {
    use std::os::unix::process::ExitStatusExt;
    let world = World::new();
    let mut top = start_top(&world);
    top.await_text("no channels");
    assert!(top.is_taken_over());
    top.press(b"\x03");
    assert!(top.end().success());

    let mut top = start_top(&world);
    top.await_text("no channels");
    top.signal(rustix::process::Signal::TERM);
    assert_eq!(top.end().signal(), Some(15), "ended by the signal, as if it had not been caught");
    world.end();
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let world = World::new();
    let mut top = start_top(&world);
    top.await_text("no channels");
    assert_eq!(top.hang_up().code(), Some(1));
    world.end();
}
