//! Where a worker thread last panicked. The default hook would print the message, which may
//! hold what a packet said; worker threads keep the place only, other threads are untouched.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

static INSTALL: Once = Once::new();

/// Makes panics of this thread silent and remembered.
pub fn watch_this_thread() {
    PLACE.with_borrow_mut(|place| *place = Some(String::new()));
    INSTALL.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let watched = PLACE.with_borrow_mut(|place| {
                let Some(place) = place else { return false };
                *place = info.location().map_or_else(String::new, |at| {
                    let file = at.file().rsplit('/').next().unwrap_or_default();
                    format!("{file}:{}", at.line())
                });
                true
            });
            if !watched {
                previous(info);
            }
        }));
    });
}

/// File and line of this thread's last panic.
pub fn last() -> String {
    PLACE.with_borrow(|place| place.clone().unwrap_or_default())
}
