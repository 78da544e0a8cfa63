#!/usr/bin/env bash
# Writes the generated pages under docs/ again: tools/make_docs.sh [PROGRAM]. A test compares them with the program.
set -euo pipefail
cd "$(dirname "$0")/.."
lathe=${1:-build/lathe}
"$lathe" help --markdown >docs/commands.md
"$lathe" help --components >docs/components.md
"$lathe" help --recipe >docs/recipe.md
"$lathe" help --combinations >docs/combinations.md
"$lathe" help --tasks >docs/tasks.md

# A table inside a page: what stands between its two comments.
page=docs/normalisation.md
{
  sed '/^<!-- from lathe help --normalizers -->$/q' "$page"
  "$lathe" help --normalizers
  sed -n '/^<!-- end of lathe help --normalizers -->$/,$p' "$page"
} >"$page.new"
mv "$page.new" "$page"
