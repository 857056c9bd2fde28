//! Writes the vectors under `spec/vectors`: `cargo run -p bellwether-formats --example vectors`.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a tool for whoever edits vectors"
)]

#[path = "../tests/vectors/generate.rs"]
mod generate;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors");
    let files = generate::write_all(&folder)?;
    println!("{files} files under spec/vectors");
    Ok(())
}
