//! The lock belongs to the thread that took it.

use crossdock::sync::Mutex;

fn main() {
    let balance = Mutex::new(100_i64);
    let guard = balance.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(guard));
    });
}
