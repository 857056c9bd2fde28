#!/usr/bin/env bash
# The exposure key exports of spec/vectors/gaen-export, read by others: a zip reader, `protoc` with the published field
# numbers, and `openssl`. Among them is one as we write it; `cargo test` holds that we still do, to the byte.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v protoc > /dev/null; then
    if [ "${CI:-}" != true ]; then
        echo "skipped: protoc is not installed (Debian: protobuf-compiler)"
        exit 0
    fi
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update -qq
    $as_root apt-get install -qq -y --no-install-recommends protobuf-compiler > /dev/null
fi
python3 tests/gaen/check.py
