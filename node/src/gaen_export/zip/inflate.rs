//! Deflated entries (RFC 1951), never longer than was said.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::ZipError;

/// Most bytes that one deflated byte can stand for: a copy of 258 bytes takes two bits at least.
/// So a few bytes cannot ask for a large buffer.
const MAX_RATIO: usize = 258 * 4;

/// Inflates all of `packed` to exactly `size` bytes.
pub(super) fn inflate(packed: &[u8], size: usize) -> Result<Vec<u8>, ZipError> {
    if size > packed.len().saturating_mul(MAX_RATIO) {
        return Err(ZipError::Size { found: size });
    }
    let mut content = vec![0; size];
    let mut state = Box::<DecompressorOxide>::default();
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    match decompress(&mut state, packed, &mut content, 0, flags) {
        (TINFLStatus::Done, read, written) if read == packed.len() && written == size => {
            Ok(content)
        }
        _ => Err(ZipError::Deflate),
    }
}
