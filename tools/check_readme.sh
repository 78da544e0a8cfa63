#!/usr/bin/env bash
# Runs the commands of README.md's section "By hand" as they are written, one after the other, in an
# empty folder that holds a small book.txt and the recipes/.
#   tools/check_readme.sh [PROGRAM] [README]      (default: build/lathe, README.md)
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "${1:-$root/build/lathe}")
readme=$(realpath "${2:-$root/README.md}")
if [ ! -x "$program" ]; then
  echo "[check_readme] $program is no program; build it with tools/build.sh lathe" >&2
  exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" "$folder/work"
ln -s "$program" "$folder/bin/lathe"
ln -s "$root/recipes" "$folder/work/recipes"
export PATH="$folder/bin:$PATH"
cd "$folder/work"

# About 200 KB: words of two to four syllables, in sentences and paragraphs, the same every time.
awk 'BEGIN {
  n = split("ba ke li mo nu ra si to ve za ho pi du fe ga", syllable, " ")
  seed = 7
  for (paragraph = 0; paragraph < 400; ++paragraph) {
    line = paragraph % 5 ? "" : "Once upon a time "
    for (word = 0; word < 90; ++word) {
      text = ""
      seed = (seed * 16807) % 2147483647
      for (s = 0; s < 2 + seed % 3; ++s) {
        # Squares make some syllables frequent, others rare.
        seed = (seed * 16807) % 2147483647
        text = text syllable[1 + int(n * (seed / 2147483647) ^ 2)]
      }
      line = line text (word % 12 == 11 ? ". " : " ")
    }
    print line "\n"
  }
}' >book.txt

mapfile -t commands < <(awk '
  /^## / { here = ($0 == "## By hand") }
  here && /^```/ { fenced = !fenced; next }
  here && fenced && NF && !/^#/ { print }' "$readme")
if [ ${#commands[@]} -eq 0 ]; then
  echo "[check_readme] $readme has no commands between \`\`\` below '## By hand'; write them there" >&2
  exit 1
fi
for command in "${commands[@]}"; do
  echo "\$ $command"
  begin=$SECONDS
  if ! bash -euo pipefail -c "$command" >output 2>&1 </dev/null; then
    tail -n 20 output >&2
    echo "[check_readme] this command of $readme does not work as written: $command" >&2
    exit 1
  fi
  echo "  works ($((SECONDS - begin)) s)"
done
echo "check_readme: ${#commands[@]} commands work as written"
