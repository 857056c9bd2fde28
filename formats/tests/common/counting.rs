//! An allocator that counts what a thread asks for, to hold bounds.
#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without it; all work is the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Bytes asked for since the last [`allocated`].
    static SINCE: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator as it came; counting touches a thread's
// own cell, which neither allocates nor needs a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        SINCE.set(SINCE.get().saturating_add(layout.size()));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc`, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        SINCE.set(SINCE.get().saturating_add(size));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many bytes this thread asked for in `work`, freed or not, and what came of it.
pub(crate) fn allocated<T>(work: impl FnOnce() -> T) -> (usize, T) {
    SINCE.set(0);
    let made = work();
    (SINCE.get(), made)
}
