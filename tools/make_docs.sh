#!/usr/bin/env bash
# Writes the generated pages under docs/ again: tools/make_docs.sh [PROGRAM]. A test compares them with the program.
set -euo pipefail
cd "$(dirname "$0")/.."
lathe=${1:-build/lathe}
"$lathe" help --markdown >docs/commands.md
"$lathe" help --components >docs/components.md
"$lathe" help --recipe >docs/recipe.md
"$lathe" help --combinations >docs/combinations.md
