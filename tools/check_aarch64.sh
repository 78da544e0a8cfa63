#!/usr/bin/env bash
# Compiles every source of the library for aarch64, with the commands of build/compile_commands.json (tools/build.sh
# writes it). Nothing is linked or run: the libraries of that architecture are not needed, their headers are the
# installed ones, searched after those of the cross compiler (Debian package g++-aarch64-linux-gnu).
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=aarch64-linux-gnu-g++
if ! command -v $compiler >/dev/null; then
  echo "check_aarch64: error: no $compiler; install the package g++-aarch64-linux-gnu" >&2
  exit 1
fi

# One line a source: the flags that matter, the source last. Levels of x86 are no sources of this architecture.
list() {
  python3 - <<'PYTHON'
import json, os, shlex

for entry in json.load(open("build/compile_commands.json")):
    source = os.path.relpath(os.path.join(entry["directory"], entry["file"]))
    words = shlex.split(entry["command"])
    level = [w for w in words if w.startswith("-DLATHE_ISA=")]
    if not source.startswith("src/lathe/") or level not in ([], ["-DLATHE_ISA=baseline"]):
        continue
    keep = [w for w in words if w.startswith(("-D", "-W", "-f", "-std="))]
    for flag, folder in zip(words, words[1:] + [""]):
        if flag == "-isystem":
            keep += ["-idirafter", os.path.join(entry["directory"], folder)]
        elif flag.startswith("-I"):
            keep.append("-I" + os.path.join(entry["directory"], flag[2:]))
    print(shlex.join(keep + [source]))
PYTHON
}

check() {
  aarch64-linux-gnu-g++ "$@" -O1 -S -o /dev/null -idirafter /usr/include || { echo "check_aarch64: ${*: -1} fails" >&2; exit 1; }
}
export -f check
list | xargs -d '\n' -P "$(nproc)" -I{} bash -c 'check {}'
echo "check_aarch64: $(list | wc -l) sources compile"
