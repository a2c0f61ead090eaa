//! What interrupts a run: a panic of the code under test, and a person who presses Ctrl-C.
//!
//! Owns the panic hook, which is silent while a run is watched and remembers where it happened, and the flag that
//! signals set. Must not know what is run.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Installs the hook. Panics outside a watched run are told as ever: they are ours.
pub(crate) fn install() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if WATCHED.get() {
            LAST.set(Some(described(info)));
        } else {
            told(info);
        }
    }));
}

fn described(info: &PanicHookInfo<'_>) -> String {
    let (payload, wordless) = (info.payload(), "a panic without words");
    let formatted = payload.downcast_ref::<String>().map(String::as_str);
    let message = formatted.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or(wordless);
    info.location().map_or_else(|| message.to_owned(), |at| format!("{message} ({at})"))
}

/// Runs it. A panic inside says nothing on the screen.
///
/// # Errors
/// When it panicked: what was said, and where.
pub(crate) fn watched<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    WATCHED.set(true);
    LAST.take();
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    WATCHED.set(false);
    outcome.map_err(|_| last_panic().unwrap_or_else(|| "a panic without words".into()))
}

/// The last panic of a run watched on this thread, caught here or further inside: what was said, and where.
pub(crate) fn last_panic() -> Option<String> {
    LAST.take()
}

/// From now on Ctrl-C is a wish to end soon; pressed again, it ends at once.
pub(crate) fn listen() {
    INTERRUPTED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let code = i32::from(super::Exit::Interrupted.code());
            // The order matters: the first signal finds the flag down and raises it, the second ends the program.
            // Where signals cannot be caught, Ctrl-C ends the program at once, as ever.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&flag));
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    });
}

/// Does somebody want it to end?
pub(crate) fn is_interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_watched_run_is_told_with_its_place() {
        install();
        assert_eq!(watched(|| 7), Ok(7));
        let told = watched(|| panic!("op {} is no op", 9)).expect_err("it panicked");
        assert!(told.starts_with("op 9 is no op (") && told.contains("guard.rs:"), "{told}");
        assert_eq!(last_panic(), None);
    }
}
