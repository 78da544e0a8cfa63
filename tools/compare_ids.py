#!/usr/bin/env python3
"""Holds the ids of `lathe tokenizer encode` against `sentencepiece` and `tokenizers`, language by language.

    tools/compare_ids.py --sentences FILE.tsv [--languages 20] [--bytes 1000000] TOKENIZER...

FILE.tsv has a language and a sentence in each line. Of each language as many bytes as asked for are made of its
sentences: as they stand, and again with other case, spaces, punctuation and order of words, drawn with --seed. Beside
them stand hostile texts. A .model is compared with `sentencepiece`, a tokenizer.json or vocab.txt with `tokenizers`.

    tools/compare_ids.py --worst TOKENIZER...

measures what hostile texts cost: seconds a byte, as a multiple of what English costs. Python 3.11 with sentencepiece
0.2.3 and tokenizers 0.23.3, as bench/peers/setup.sh installs them.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unicodedata

PIECE = 200_000  # characters that are encoded as one text


def hostile(size):
    """Texts of about `size` characters that some way of encoding takes too long for."""
    rng = random.Random(1)
    marks = [chr(c) for c in range(0x300, 0x370)] + [chr(c) for c in range(0x591, 0x5AF)]
    unassigned = [chr(c) for c in range(0x20000, 0x110000, 997) if unicodedata.category(chr(c)) in ("Cn", "Co")]
    words = ["the", "ing", "tion", "\u2581", "\u2581\u2581", " "]
    return {
        "one letter": "a" * size,
        "letters": "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=size)),
        "two letters": "ab" * (size // 2),
        "combining marks": "e" + "".join(rng.choices(marks, k=size - 1)),
        "one mark": "e" + "\u0301" * (size - 1),
        "private and unassigned": "".join(rng.choices(unassigned, k=size)),
        "spaces": " " * size,
        "marks of spaces": "\u2581" * size,
        "digits": "".join(rng.choices("0123456789", k=size)),
        "punctuation": "".join(rng.choices("!?.,;:-()[]{}'\"", k=size)),
        "Hangul jamo": "".join(rng.choices([chr(c) for c in range(0x1100, 0x1200)], k=size)),
        "Chinese": "".join(chr(rng.randrange(0x4E00, 0x9FA6)) for _ in range(size)),
        "pieces": "".join(rng.choices(words, k=size // 3)),
        "line breaks": "\r\n" * (size // 2),
        "zero width": "a\u200b\u200d\ufeff" * (size // 4),
    }


def varied(sentence, rng):
    words = sentence.split(" ")
    for _ in range(rng.randrange(3)):
        rng.shuffle(words)
    change = rng.randrange(6)
    text = " ".join(words)
    if change == 0:
        return text.upper()
    if change == 1:
        return text.lower()
    if change == 2:
        return unicodedata.normalize(rng.choice(["NFC", "NFD", "NFKD"]), text)
    if change == 3:
        return text.replace(" ", rng.choice(["  ", "\t", "\u00a0", "\u3000", ""]))
    if change == 4:
        return "".join(c + rng.choice(["", "", "", "", "\u0301", "!", "7"]) for c in text)
    return text


def languages(path, count, size, seed):
    by_language = {}
    for line in open(path, encoding="utf8"):
        language, sentence = line.rstrip("\n").split("\t")[:2]
        by_language.setdefault(language, []).append(sentence)
    chosen = sorted(random.Random(seed).sample(sorted(by_language), min(count, len(by_language))))
    for language in chosen:
        rng, texts, made = random.Random(f"{seed} {language}"), list(by_language[language]), 0
        made = sum(len(t.encode()) + 1 for t in texts)
        while made < size:
            texts.append(varied(rng.choice(by_language[language]), rng))
            made += len(texts[-1].encode()) + 1
        yield language, "\n".join(texts)


class Lathe:
    def __init__(self, program, tokenizer, folder):
        self.program, self.tokenizer, self.folder = program, tokenizer, folder

    def seconds(self, text):
        return min(self._encode(text)[1] for _ in range(3))

    def ids(self, text):
        return self._encode(text)[0]

    def _encode(self, text):
        source, out = os.path.join(self.folder, "text"), os.path.join(self.folder, "ids")
        with open(source, "w", encoding="utf8", newline="") as file:
            file.write(text)
        start = time.perf_counter()
        subprocess.run([self.program, "tokenizer", "encode", self.tokenizer, "--input", source, "--out", out],
                       check=True, stderr=subprocess.PIPE, text=True)
        taken = time.perf_counter() - start
        return json.load(open(out, encoding="utf8")), taken


def peer(tokenizer):
    if tokenizer.endswith(".model"):
        import sentencepiece
        return sentencepiece.SentencePieceProcessor(model_file=tokenizer).encode
    from tokenizers import BertWordPieceTokenizer, Tokenizer
    t = BertWordPieceTokenizer(tokenizer) if tokenizer.endswith(".txt") else Tokenizer.from_file(tokenizer)
    return lambda text: t.encode(text, add_special_tokens=False).ids


def compare(options, tokenizer, texts):
    lathe, theirs, differ, size = Lathe(options.lathe, tokenizer, options.folder), peer(tokenizer), [], 0
    for name, text in texts:
        for begin in range(0, len(text), PIECE):
            part = text[begin:begin + PIECE]
            size += len(part.encode())
            try:
                ours, wanted = lathe.ids(part), list(theirs(part))
            except subprocess.CalledProcessError as error:
                differ.append(name)
                print(f"  {name}: {error.stderr.splitlines()[-1]}", flush=True)
                continue
            if ours == wanted:
                continue
            at = next((i for i, (a, b) in enumerate(zip(ours, wanted)) if a != b), min(len(ours), len(wanted)))
            differ.append(name)
            print(f"  {name}: token {at} is {ours[at:at + 3]}, expected {wanted[at:at + 3]}", flush=True)
    print(f"{os.path.basename(tokenizer)}: {size / 1e6:.1f} MB in {len(texts)} texts, {len(differ)} parts differ", flush=True)
    return differ


def worst(options, tokenizer):
    lathe = Lathe(options.lathe, tokenizer, options.folder)
    english = open(options.english, encoding="utf8").read()[:options.bytes]
    start = lathe.seconds("")
    ordinary = (lathe.seconds(english) - start) / len(english.encode())
    costs = {name: (lathe.seconds(text) - start) / len(text.encode()) / ordinary
             for name, text in hostile(options.bytes).items()}
    name = max(costs, key=costs.get)
    print(f"{os.path.basename(tokenizer)}: English {1e9 * ordinary:.1f} ns a byte, the worst is '{name}', "
          f"{costs[name]:.1f} times; " + ", ".join(f"{n} {c:.1f}" for n, c in costs.items()), flush=True)
    return costs[name] > 20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--sentences", help="a .tsv of languages and sentences")
    parser.add_argument("--worst", action="store_true")
    parser.add_argument("--english", help="a text in English, for --worst")
    parser.add_argument("--languages", type=int, default=20)
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as options.folder:
        if options.worst:
            if not options.english:
                parser.error("--worst needs --english, what hostile texts are compared with")
            sys.exit(any([worst(options, t) for t in options.tokenizers]))
        if not options.sentences:
            parser.error("give --sentences or --worst")
        texts = list(languages(options.sentences, options.languages, options.bytes, options.seed))
        texts += hostile(300_000).items()
        sys.exit(any([compare(options, t, texts) for t in options.tokenizers]))


main()
