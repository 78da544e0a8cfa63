#!/usr/bin/env python3
"""How much of real text the normalisers change, and what they cost in tokens: the tables of docs/normalisation.md.

FILE has lines of `language TAB sentence`, such as the sentences of lingua's test data, or of JSON with `script` and
`text`, such as the translations of the Declaration of Human Rights; plain or compressed with zstd.

  changed   characters of every thousand that are replaced or removed, by language. The normalised text comes from
            `lathe tokenizer encode` and `decode` with a tokenizer of bytes, which changes nothing else.
  tokens    a BPE tokenizer is trained on the odd lines with each normaliser, and counts the tokens of the even ones

  tools/measure_normalisation.py changed FILE [--languages en,de] [--lathe build/lathe]
  tools/measure_normalisation.py tokens FILE [--languages en,de] [--vocab-size 8000] [--lathe build/lathe]
"""
import argparse
import collections
import difflib
import json
import pathlib
import subprocess
import sys
import tempfile

NORMALIZERS = ["nfc", "nfkc", "nfkc_cf", "nmt_nfkc"]


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr.decode()}")
    return done.stdout.decode()


def groups_of(args):
    data = run("zstd", "-dc", args.file) if args.file.endswith(".zst") else open(args.file, encoding="utf-8").read()
    groups = collections.defaultdict(list)
    for line in data.split("\n"):
        if line.startswith("{"):
            record = json.loads(line)
            groups[record["script"]] += record["text"].split("\n")
        elif line:
            language, text = line.split("\t", 1)
            groups[language].append(text)
    return {name: groups[name] for name in (args.languages.split(",") if args.languages else sorted(groups))}


class Bytes:
    """Applies a normaliser to texts."""

    def __init__(self, args, normalizer, folder):
        self.lathe, self.folder, self.tokenizer = args.lathe, folder, folder / normalizer
        sample = folder / "sample.txt"
        sample.write_text("a")
        run(self.lathe, "tokenizer", "train", sample, "--model", "byte", "--pre", "none", "--normalizer", normalizer,
            "--vocab-size", 256, "--out", self.tokenizer)

    def __call__(self, text):
        source, ids, out = (self.folder / name for name in ("in.txt", "ids.json", "out.txt"))
        source.write_bytes(text.encode())
        run(self.lathe, "tokenizer", "encode", self.tokenizer, "--input", source, "--out", ids)
        run(self.lathe, "tokenizer", "decode", self.tokenizer, "--input", ids, "--out", out)
        return out.read_bytes().decode()


def changed_characters(before, after):
    if before == after:
        return 0
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(end - begin for tag, begin, end, _, _ in blocks if tag in ("replace", "delete"))


# A line that no normaliser changes or joins to its neighbours; a line feed would become a space.
MARK = " |||| "


def changed(args, folder):
    print("| language | characters |" + "".join(f" `{n}` |" for n in NORMALIZERS))
    print("|---|---|" + "---|" * len(NORMALIZERS))
    normalize = [Bytes(args, n, folder) for n in NORMALIZERS]
    for language, texts in groups_of(args).items():
        texts = [t for t in texts if MARK not in t]
        total = sum(map(len, texts))
        cells = []
        for n in normalize:
            results = n(MARK.join(texts)).split(MARK)
            if len(results) != len(texts):
                sys.exit(f"{language}: {len(texts)} texts became {len(results)}")
            cells.append(1000 * sum(map(changed_characters, texts, results)) / total)
        print(f"| {language} | {total:,} |" + "".join(f" {c:.2f} |" for c in cells), flush=True)


def tokens(args, folder):
    lines = [text for texts in groups_of(args).values() for text in texts]
    train, test = lines[0::2], " ".join(lines[1::2])
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in train))
    (folder / "test.txt").write_bytes(test.encode())
    size = len(test.encode())
    print("| normaliser | different characters | tokens | bytes of the original text per token |\n|---|---|---|---|")
    for name in ["none"] + NORMALIZERS:
        characters = len(set(Bytes(args, name, folder)(" ".join(train))))
        out = folder / f"bpe-{name}"
        run(args.lathe, "tokenizer", "train", folder / "train.jsonl", "--model", "bpe", "--pre", "metaspace",
            "--byte-fallback", "--normalizer", name, "--vocab-size", args.vocab_size, "--out", out)
        facts = json.loads(run(args.lathe, "tokenizer", "encode", out, "--input", folder / "test.txt", "--out",
                               folder / "ids.json", "--json"))
        print(f"| `{name}` | {characters:,} | {facts['tokens']:,} | {size / facts['tokens']:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["changed", "tokens"])
    parser.add_argument("file")
    parser.add_argument("--languages", help="only these, in this order")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--lathe", default="build/lathe")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"changed": changed, "tokens": tokens}[args.what](args, pathlib.Path(folder))


if __name__ == "__main__":
    main()
