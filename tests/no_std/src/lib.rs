//! `bellwether-formats` linked without the standard library.
#![no_std]
#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without it; this crate is a build check and never runs"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use bellwether_formats as _;

/// Bytes of the arena: a bundle and some.
const ARENA_BYTES: usize = 8 * 1024 * 1024;

/// Hands out an array from front to back and never takes anything back.
struct Bump {
    arena: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: the arena is only ever touched through the ranges that `alloc` hands out, which do not overlap.
unsafe impl Sync for Bump {}

// SAFETY: `alloc` returns null or a range of the arena that is aligned, large enough, and handed out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.arena.get().cast::<u8>();
        let place = |used: usize| {
            let padding = base.wrapping_add(used).align_offset(layout.align());
            let start = used.checked_add(padding)?;
            let end = start.checked_add(layout.size())?;
            (end <= ARENA_BYTES).then_some((start, end))
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                place(used).map(|(_, end)| end)
            })
            .ok()
            .and_then(place)
            .map_or(ptr::null_mut(), |(start, _)| base.wrapping_add(start))
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump {
    arena: UnsafeCell::new([0; ARENA_BYTES]),
    used: AtomicUsize::new(0),
};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
