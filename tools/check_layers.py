#!/usr/bin/env python3
"""Checks the house rules that a compiler does not know.

  * An include or a CMake link may only point to a layer with a smaller number.
  * Only base/env.cc reads the environment.
  * Sizes above the caps are warnings: they ask for a look, not for a cut.

Usage: check_layers.py [ROOT]; exits with 1 when a rule is broken.
"""
import os
import re
import sys

LAYERS = {
    "base": 0,
    "config": 1, "tensor": 1,
    "kernels": 2, "io": 2, "text": 2, "comm": 2,
    "autograd": 3, "corpus": 3,
    "ops": 4,
    "nn": 5,
    "model": 6, "optim": 6,
    "infer": 7, "train": 7,
    "align": 8, "eval": 8, "serve": 8, "lab": 8,
    "cli": 9,
}
CAPS = {".h": 350, ".cc": 600}
TEST_CAP = 700
INCLUDE = re.compile(r'^\s*#\s*include\s*"lathe/([a-z_0-9]+)/', re.M)
ENVIRONMENT = re.compile(r"\b(?:secure_)?getenv\s*\(|\benviron\b")
LAYER_CALL = re.compile(r"lathe_layer\s*\(\s*([a-z_0-9]+)([^)]*)\)", re.S)
LINK_CALL = re.compile(r"target_link_libraries\s*\(\s*lathe_([a-z_0-9]+)([^)]*)\)", re.S)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)


def without_comments(text):
    """Comments blanked, line numbers kept."""
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def files_below(folder, endings):
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.join(here, name)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def check_edge(layer, other, place, errors):
    if other == layer:
        return
    if other not in LAYERS:
        errors.append(f"{place}: '{other}' is not a layer; add it to the table of tools/check_layers.py")
    elif LAYERS[other] >= LAYERS[layer]:
        errors.append(f"{place}: {layer} (layer {LAYERS[layer]}) must not use {other} (layer {LAYERS[other]}); "
                      "pass what it needs through an interface that a lower layer owns")


def check_sources(source, errors, warnings):
    for path in files_below(source, (".h", ".cc", ".inc")):
        relative = os.path.relpath(path, source)
        layer = relative.split(os.sep)[0]
        if layer == relative:
            errors.append(f"{relative}: a source must lie in the folder of its layer")
            continue
        if layer not in LAYERS:
            errors.append(f"{relative}: '{layer}' is not a layer; add it to the table of tools/check_layers.py")
            continue
        text = read(path)
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            check_edge(layer, match.group(1), f"{relative}:{line}", errors)
        if relative != os.path.join("base", "env.cc"):
            code = without_comments(text)
            for match in ENVIRONMENT.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                errors.append(f"{relative}:{line}: only base/env.cc reads the environment; take the value as an argument")
        lines = text.count("\n")
        cap = CAPS.get(os.path.splitext(path)[1])
        if cap and lines > cap:
            warnings.append(f"{relative}: {lines} lines, cap {cap}; split it by idea")


def check_cmake(source, errors):
    for path in files_below(source, ("CMakeLists.txt",)):
        relative = os.path.relpath(path, source)
        text = re.sub(r"#[^\n]*", "", read(path))
        for match in LAYER_CALL.finditer(text):
            layer, arguments = match.group(1), match.group(2).split()
            if layer not in LAYERS:
                errors.append(f"{relative}: '{layer}' is not a layer")
                continue
            if os.path.dirname(relative) != layer:
                errors.append(f"{relative}: defines the layer '{layer}' outside its folder")
            section = ""
            for word in arguments:
                if word in ("DEPENDS", "LIBRARIES"):
                    section = word
                elif section == "DEPENDS" and not word.startswith("${"):
                    check_edge(layer, word, relative, errors)
        for match in list(LAYER_CALL.finditer(text)) + list(LINK_CALL.finditer(text)):
            layer = match.group(1)
            for other in re.findall(r"\blathe_([a-z_0-9]+)\b", match.group(2)):
                if layer in LAYERS and other in LAYERS:
                    check_edge(layer, other, relative, errors)


def check_tests(tests, warnings):
    if not os.path.isdir(tests):
        return
    for path in files_below(tests, (".h", ".cc")):
        lines = read(path).count("\n")
        if lines > TEST_CAP:
            warnings.append(f"tests/{os.path.relpath(path, tests)}: {lines} lines, cap {TEST_CAP}; split it by idea")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    source = os.path.join(root, "src", "lathe")
    if not os.path.isdir(source):
        sys.exit(f"check_layers: {source} is not there; give the root of the project")
    errors, warnings = [], []
    check_sources(source, errors, warnings)
    check_cmake(source, errors)
    check_tests(os.path.join(root, "tests"), warnings)
    for text in warnings:
        print(f"warning: {text}")
    for text in errors:
        print(f"error: {text}")
    print(f"check_layers: {len(errors)} errors, {len(warnings)} warnings")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
