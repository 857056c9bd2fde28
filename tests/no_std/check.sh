#!/usr/bin/env bash
# Builds the staticlib that proves bellwether-formats to be no_std. The versions are those of the workspace.
set -euo pipefail
cd "$(dirname "$0")"
cp ../../Cargo.lock Cargo.lock
cargo build --quiet --target-dir ../../target/no_std
echo "no_std: $(ls ../../target/no_std/debug/libbellwether_no_std.a) links"
