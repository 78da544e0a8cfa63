#!/usr/bin/env bash
# Lathe beside its peers and the machine's limit, measured in one run: a table, and the same as JSON.
#
#   bench/run.sh                                    everything that can be measured here
#   bench/run.sh --only train,decode --json out.json
#   bench/run.sh --help
#
# Peers are made once by bench/peers/setup.sh. Close other programs: what else runs makes every figure wrong.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=${LATHE_PEERS:-$HOME/.cache/lathe-peers}
if [ ! -x "$peers/venv/bin/python" ]; then
  echo "bench: no peers in $peers; make them once with bench/peers/setup.sh (20 minutes, 6 GB)" >&2
  exit 2
fi
exec "$peers/venv/bin/python" "$here/compare.py" --peers "$peers" "$@"
