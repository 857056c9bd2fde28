# Short ways. The truth is in .ci/run and README.md.

# this list
default:
    @just --list

# the whole check, as before a change is proposed
ci:
    .ci/run

# the story: a provider, two relays, two phones
demo:
    cargo run --locked -q --bin bellwether-node -- demo

# all tests
test:
    cargo test --locked --workspace

# the professional's page in Chromium
browser:
    tests/browser/run

# format and lint
lint:
    cargo fmt --all
    cargo clippy --locked --workspace --all-targets -- -D warnings

# benchmarks
bench:
    cargo bench --locked

# what is long, or needs the tools of others
long *parts:
    .ci/long {{parts}}
