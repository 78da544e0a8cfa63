#!/usr/bin/env python3
"""Makes a large text out of small ones, to see how the training of tokenizers behaves on many gigabytes.

    tools/make_large_text.py --size 20G --seed 1 --out large.txt books/*.txt

Paragraphs of the given files (UTF-8) are drawn at random, and in each a share of the words is varied: some letters of
a word become others of the same case, some characters beyond ASCII become others of the text, digits become other
digits. Which letters they are follows from a number k with P(k >= n) = n^-0.65, so the first variants of a word come
again and again and there are always new ones: the number of distinct words grows with the text as Heaps' law has it
(exponent 1/1.65 = 0.6), as it does in text that people wrote. Repeating files would stop growing at their vocabulary;
random words would grow with the text.

The same files, size and seed give the same bytes, and a larger text begins with a smaller one. Needs numpy.
"""
import argparse
import sys

import numpy as np

BLOCK = 8 << 20  # bytes made at a time
TAIL = 0.65      # of the distribution of variants
CHANGES = 3      # letters of a varied word
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


def size(text):
    unit = UNITS.get(text[-1:].upper())
    return int(float(text[:-1]) * unit) if unit else int(text)


def paragraphs_of(files):
    """The paragraphs of all files, with their line feeds."""
    found = []
    for name in files:
        with open(name, "rb") as file:
            text = file.read()
        text.decode("utf-8")  # an error here names the byte that is not text
        for lines in text.replace(b"\r\n", b"\n").split(b"\n\n"):
            # A file without blank lines is cut behind some line feed.
            while len(lines) > 4096:
                cut = lines.find(b"\n", 2048) + 1
                if cut == 0:
                    break
                found.append(lines[:cut] + b"\n")
                lines = lines[cut:]
            if lines.strip():
                found.append(lines + b"\n\n")
    if not found:
        sys.exit("make_large_text: the files hold no text; give files of text in UTF-8")
    return found


def table_of(characters):
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table


LOWER, UPPER, DIGIT = table_of(range(97, 123)), table_of(range(65, 91)), table_of(range(48, 58))
LETTER = LOWER | UPPER
WIDE = table_of(range(0xE3, 0xEA))  # first bytes of characters of three bytes: kana and ideographs


def hashed(a, b):
    """64 bits for each pair of numbers: the finaliser of SplitMix64."""
    x = a.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Variation:
    def __init__(self, share, characters):
        self.share, self.characters = share, characters

    def drawn(self, rng, places):
        """A share of the places, and the number of the variant for each."""
        chosen = places[rng.random(len(places)) < self.share]
        k = np.minimum(rng.random(len(chosen)) ** (-1 / TAIL), 2.0**62)
        return chosen, k.astype(np.uint64)

    def vary(self, text, rng):
        """Changes `text`, an array of bytes, in place."""
        self.vary_words(text, rng)
        self.vary_wide(text, rng)
        self.vary_digits(text, rng)

    def vary_words(self, text, rng):
        letter = LETTER[text]
        edges = np.flatnonzero(letter[1:] != letter[:-1]) + 1
        if letter[0]:
            edges = np.concatenate([[0], edges])
        begins, ends = edges[0:len(edges) // 2 * 2:2], edges[1::2]
        chosen, k = self.drawn(rng, np.arange(len(begins)))
        begin, length = begins[chosen], (ends - begins)[chosen].astype(np.uint64)
        for change in range(CHANGES):
            h = hashed(k, change)
            place = begin + (h % length).astype(np.int64)
            new = (97 + (h >> np.uint64(32)) % np.uint64(26)).astype(np.uint8)
            text[place] = np.where(UPPER[text[place]], new - 32, new)

    def vary_wide(self, text, rng):
        places, k = self.drawn(rng, np.flatnonzero(WIDE[text[:-2]]))
        old = codes_at(text, places).astype(np.uint64)
        new = self.characters[(hashed(k << np.uint64(24) ^ old, CHANGES) % np.uint64(len(self.characters))).astype(np.int64)]
        for i in range(3):
            text[places + i] = new >> 16 - 8 * i & 0xFF

    def vary_digits(self, text, rng):
        places, _ = self.drawn(rng, np.flatnonzero(DIGIT[text]))
        text[places] = rng.integers(48, 58, len(places), np.uint8)


def codes_at(text, places):
    """The three bytes at each place as a number."""
    return text[places].astype(np.int32) << 16 | text[places + 1].astype(np.int32) << 8 | text[places + 2]


def wide_characters(paragraphs):
    """The distinct characters of three bytes; one that stands for all where there is none."""
    text = np.frombuffer(b"".join(paragraphs), np.uint8)
    codes = codes_at(text, np.flatnonzero(WIDE[text[:-2]]))
    return np.flatnonzero(np.bincount(codes, minlength=0x3400)) if len(codes) else np.array([0xE38080])


def blocks(paragraphs, seed, variation):
    mean = sum(map(len, paragraphs)) / len(paragraphs)
    for number in range(sys.maxsize):
        rng = np.random.Generator(np.random.PCG64([seed, number]))
        drawn = rng.integers(0, len(paragraphs), max(1, int(BLOCK / mean)))
        text = np.frombuffer(bytearray(b"".join([paragraphs[i] for i in drawn])), np.uint8)
        variation.vary(text, rng)
        yield text.tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--size", type=size, required=True, help="bytes, with K, M or G for powers of 1000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.02, help="of the words that are varied (default: 0.02)")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    paragraphs = paragraphs_of(options.files)
    variation = Variation(options.share, wide_characters(paragraphs))
    left = options.size
    with open(options.out, "wb") as out:
        for text in blocks(paragraphs, options.seed, variation):
            if len(text) >= left:
                out.write(text[:text.rfind(b"\n", 0, left) + 1])  # whole lines
                return
            out.write(text)
            left -= len(text)


if __name__ == "__main__":
    main()
