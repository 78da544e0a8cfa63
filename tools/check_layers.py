#!/usr/bin/env python3
"""Checks the house rules that a compiler does not know.

  * An include or a CMake link may only point to a layer with a smaller number in src/lathe/layers.txt.
  * Only base/env.cc reads the environment.
  * Sizes above the caps are warnings: they ask for a look, not for a cut.

Usage: check_layers.py [ROOT]; exits with 1 when a rule is broken.
"""
import os
import re
import sys

CAPS = {".h": 350, ".cc": 600}
TEST_CAP = 700
INCLUDE = re.compile(r'^\s*#\s*include\s*"lathe/([^"]+)"', re.M)
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


def read_layers(root):
    """{"base": 0, …, "cli/frame": 11}: the list that CMake reads, too."""
    path = os.path.join(root, "src", "lathe", "layers.txt")
    if not os.path.isfile(path):
        sys.exit(f"check_layers: {path} is not there; give the root of the project")
    layers = {}
    for line in read(path).splitlines():
        if line and not line.startswith("#"):
            number, folder = line.split()
            layers[folder] = int(number)
    return layers


def layer_of(layers, relative):
    """The innermost listed folder that holds the file, or None."""
    folder = os.path.dirname(relative)
    while folder and folder not in layers:
        folder = os.path.dirname(folder)
    return folder or None


def check_edge(layers, layer, other, place, errors):
    if other == layer:
        return
    if other is None or other not in layers:
        errors.append(f"{place}: this is in no layer; add its folder to src/lathe/layers.txt")
    elif layers[other] >= layers[layer]:
        errors.append(f"{place}: {layer} (layer {layers[layer]}) must not use {other} (layer {layers[other]}); "
                      "pass what it needs through an interface that a lower layer owns")


def check_sources(source, layers, errors, warnings):
    for path in files_below(source, (".h", ".cc", ".inc")):
        relative = os.path.relpath(path, source)
        layer = layer_of(layers, relative)
        if layer is None:
            errors.append(f"{relative}: a source must lie in the folder of a layer; src/lathe/layers.txt lists them")
            continue
        text = read(path)
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            check_edge(layers, layer, layer_of(layers, match.group(1)), f"{relative}:{line}", errors)
        if relative != os.path.join("base", "env.cc"):
            code = without_comments(text)
            for match in ENVIRONMENT.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                errors.append(f"{relative}:{line}: only base/env.cc reads the environment; take the value as an argument")
        lines = text.count("\n")
        cap = CAPS.get(os.path.splitext(path)[1])
        if cap and lines > cap:
            warnings.append(f"{relative}: {lines} lines, cap {cap}; split it by idea")


def check_cmake(source, layers, errors):
    for path in files_below(source, ("CMakeLists.txt",)):
        relative = os.path.relpath(path, source)
        text = re.sub(r"#[^\n]*", "", read(path))
        for match in LAYER_CALL.finditer(text):
            layer, arguments = match.group(1), match.group(2).split()
            if layer not in layers:
                errors.append(f"{relative}: '{layer}' is not a layer of src/lathe/layers.txt")
                continue
            if os.path.dirname(relative) != layer:
                errors.append(f"{relative}: defines the layer '{layer}' outside its folder")
            section = ""
            for word in arguments:
                if word in ("DEPENDS", "LIBRARIES"):
                    section = word
                elif section == "DEPENDS" and not word.startswith("${"):
                    check_edge(layers, layer, word, relative, errors)
        for match in list(LAYER_CALL.finditer(text)) + list(LINK_CALL.finditer(text)):
            layer = match.group(1)
            for other in re.findall(r"\blathe_([a-z_0-9]+)\b", match.group(2)):
                if layer in layers and other in layers:
                    check_edge(layers, layer, other, relative, errors)


def check_tests(tests, warnings):
    if not os.path.isdir(tests):
        return
    for path in files_below(tests, (".h", ".cc")):
        lines = read(path).count("\n")
        if lines > TEST_CAP:
            warnings.append(f"tests/{os.path.relpath(path, tests)}: {lines} lines, cap {TEST_CAP}; split it by idea")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    source, layers = os.path.join(root, "src", "lathe"), read_layers(root)
    errors, warnings = [], []
    check_sources(source, layers, errors, warnings)
    check_cmake(source, layers, errors)
    check_tests(os.path.join(root, "tests"), warnings)
    for text in warnings:
        print(f"warning: {text}")
    for text in errors:
        print(f"error: {text}")
    print(f"check_layers: {len(errors)} errors, {len(warnings)} warnings")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
