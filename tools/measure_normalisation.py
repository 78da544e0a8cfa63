#!/usr/bin/env python3
"""How much of real text the normalisers change, and what they cost in tokens: the tables of docs/normalisation.md.

FILE has lines of `language TAB sentence`, such as the sentences of lingua's test data, or of JSON with `script` and
`text`, such as the translations of the Declaration of Human Rights; plain or compressed with zstd.

  changed   characters of every thousand that are replaced or removed, by language. The normalised text comes from
            `lathe tokenizer encode` and `decode` with a tokenizer of bytes, which changes nothing else.
  tokens    a BPE tokenizer is trained on the odd lines with each normaliser, and counts the tokens of the even ones
  model     the same small model learns the text as it is and in NFKC: bits per byte of the original held-out text,
            for NFKC without and with what it costs to tell which characters were others before

  tools/measure_normalisation.py changed FILE [--languages en,de] [--lathe build/lathe]
  tools/measure_normalisation.py tokens FILE [--languages en,de] [--vocab-size 8000] [--lathe build/lathe]
  tools/measure_normalisation.py model FILE [--languages zh] [--vocab-size 4000] [--steps 1500] [--seeds 2]
"""
import argparse
import collections
import difflib
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unicodedata

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


RECIPE = """
[model]
vocab_size = {vocab_size}
hidden_size = 96
num_hidden_layers = 4
num_attention_heads = 4
max_position_embeddings = 128
tie_word_embeddings = true
[data]
train = "{data}"
valid = "{data}-valid"
tokenizer = "{data}-tokenizer"
[train]
out = "{data}-run"
steps = {steps}
seed = {seed}
batch_size = 8
seq_len = 128
precision = "fp32"
eval_every = 0
checkpoint_every = 0
[optim]
lr = 4e-3
[schedule]
warmup_steps = 50
"""


def choices(text):
    """For each character of `text`: what stands at its place in NFKC, the next place, whether ideographs are around."""
    for i, c in enumerate(text):
        behind = unicodedata.normalize("NFKC", c + text[i + 1:i + 2])[1:2]
        yield c, unicodedata.normalize("NFKC", c)[:1], (text[i - 1:i] > "\u2e80", behind > "\u2e80")


def undoing_bits(train, test):
    """Bits of a code that tells `test` from its NFKC: the share of each original of a character in `train`, where it
    has such neighbours; and how many characters differ."""
    shares, neighbours = collections.Counter(), collections.Counter()
    for original, plain, around in choices(train):
        shares[plain, original] += 1
        neighbours[plain, around, original] += 1
    originals = collections.defaultdict(set)
    for c in set(train) | set(test):
        originals[unicodedata.normalize("NFKC", c)[:1]].add(c)
    bits = different = 0
    for original, plain, around in choices(test):
        of_plain = originals[plain]
        different += unicodedata.normalize("NFKC", original) != original
        share = (shares[plain, original] + 0.5) / sum(shares[plain, o] + 0.5 for o in of_plain)
        bits -= math.log2((neighbours[plain, around, original] + share) /
                          (sum(neighbours[plain, around, o] for o in of_plain) + 1))
    return bits, different


def learn(args, folder, name, seed, train, test):
    """Bits per byte of the held-out text as the model sees it."""
    data = folder / name
    if not data.with_suffix(".bin").exists():
        for path, texts in ((f"{data}.jsonl", train), (f"{data}-valid.jsonl", test)):
            pathlib.Path(path).write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        run(args.lathe, "tokenizer", "train", f"{data}.jsonl", "--model", "bpe", "--pre", "metaspace", "--byte-fallback",
            "--normalizer", name, "--vocab-size", args.vocab_size, "--special-token", "<|e|>", "--eos", "<|e|>", "--out",
            f"{data}-tokenizer")
        for part in ("", "-valid"):
            run(args.lathe, "shard", f"{data}{part}.jsonl", "--tokenizer", f"{data}-tokenizer", "--out", f"{data}{part}")
    recipe = folder / f"{name}-{seed}.toml"
    recipe.write_text(RECIPE.format(data=data, vocab_size=args.vocab_size, steps=args.steps, seed=seed))
    run(args.lathe, "--threads", 1, "train", recipe, f"--train.out={data}-{seed}")
    return json.loads(run(args.lathe, "--threads", 1, "eval", f"{data}-{seed}/model", "--data", f"{data}-valid",
                          "--seq-len", 128, "--samples", 0, "--json"))["bits_per_byte"]


def model(args, folder):
    lines = [text for texts in groups_of(args).values() for text in texts]
    documents = ["\n".join(lines[i:i + 32]) for i in range(0, len(lines), 32)]
    train, test = [d for i, d in enumerate(documents) if i % 20], documents[::20]
    size = len("".join(test).encode())
    bits, different = undoing_bits("\n".join(train), "\n".join(test))
    plain = len("".join(unicodedata.normalize("NFKC", d) for d in test).encode())
    print(f"{size:,} bytes are held out, {plain:,} in NFKC; {different:,} of {sum(map(len, test)):,} characters differ, "
          f"and {bits / 8:,.0f} bytes tell which\n\n| normaliser | seed | bits per byte of its own text | of the original, "
          "at least | of the original, with a code for what differs |\n|---|---|---|---|---|")
    for seed in range(1, args.seeds + 1):
        own = learn(args, folder, "none", seed, train, test)
        print(f"| `none` | {seed} | {own:.4f} | {own:.4f} | {own:.4f} |", flush=True)
        own = learn(args, folder, "nfkc", seed, train, test)
        least = own * plain / size
        print(f"| `nfkc` | {seed} | {own:.4f} | {least:.4f} | {least + bits / size:.4f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["changed", "tokens", "model"])
    parser.add_argument("file")
    parser.add_argument("--languages", help="only these, in this order")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--lathe", default="build/lathe")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        {"changed": changed, "tokens": tokens, "model": model}[args.what](args, pathlib.Path(folder))


if __name__ == "__main__":
    main()
