#!/usr/bin/env bash
# Raw text in, a trained, talking model out: installs what is missing, builds, and runs `lathe demo`.
#   ./demo.sh [--minutes N] [--text PATH] [--out runs/demo]      ./demo.sh --help
set -euo pipefail
cd "$(dirname "$0")"
tools/setup.sh
tools/build.sh lathe
exec build/lathe demo "$@"
