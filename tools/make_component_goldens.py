#!/usr/bin/env python3
"""Writes tests/text/goldens/components.json: what `tokenizers` makes of hostile texts and tokens.

Made with tokenizers 0.23.3. Run from the project's root:

    python3 tools/make_component_goldens.py

The components are those of tests/text/component_samples.h. A result is null where the library ends with a panic, and
where it writes U+FFFD for bytes that are not UTF-8, which Lathe keeps. The classes of characters are what the library
does with every code point: ranges of first and last, and for small letters pairs of code points.
"""

import json
import pathlib
import re

import tokenizers
from tokenizers import NormalizedString, PreTokenizedString, Tokenizer

PINNED = "0.23.3"
TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests/text"
OUT = TESTS / "goldens/components.json"
OURS = {"NFKC_CF"}

TEXTS = [
    "", " ", "  ", "\n", "a", " a", "a ", "  a  b  ", "Hello, World!  It's 1234567 o'clock.\n",
    "\t\u00a0x\u3000y\u2003z\u200b\ufeff\u0085w\u180e", "r\u00e9sum\u00e9 RE\u0301SUME\u0301 \u0130stanbul \u0131\u015f\u0131k Stra\u00dfe \u03a3\u03b1\u03c3\u03c2 \u01c5",
    "\ufb01\ufb00\u2460\u00bd\u2167\u00b2 \uff76\uff9e \u1e9b\u0323", "\u4e2d\u6587\u5b57\u7b26\uff0c\u65e5\u672c\u8a9e\u306e\u30c6\u30b9\u30c8\u30fc\u3002 \uf900\U0002f800\U00020000",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\u1100\u1161", "\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940 \u0639\u0631\u0628\u064a\u0651 \u05e2\u05d1\u05e8\u05d9\u05ea", "\u0422\u043e\u0440\u0436\u0435\u0441\u0442\u0432\u0435\u043d\u043d\u044b\u0439 \u0419\u043e\u0434",
    "\u0301\u0316\u0327abc\u0327\u0301", "e\u0327\u0301\u0316x", "\u0344\u0f73\u0f81", "\u2581a\u2581 \u2581b", "a_b_ c__d", "\u0000\u0001\u0007\u007f\u008f\u009f\ufffdx",
    "\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\ufe0f", "price: $5.00 \u20ac7 (50%)~`|^+<=>", "x1y22z333w4444\u0664\u0665\u0666\u0667\u0968\u216b",
    "banana aaa aab xx yxxz", "...!!!??  ,,", "\u1885\u1886\u1734\ua9bd\u1cf2\u1cf3\U000111c9\u166d", "\u08d3\u0898\U00011930\U00011935\U00011938 \u32ff \U0001fbf5", "\u0897\u1c89\ua7cb\ua7dc\U0002ebf0\U00016ea0",
    "\u0589\u061c\u0953\u0954abc", "  \u3053\u3093abc \u30ab\u30ca\u6f22 ", "l'\u00e9t\u00e9 don't we'LL \u2018quoted\u2019", "\r\n\r\n\u2028\u2029\v\f end \n",
    "mixed\u00e9 \u0958\u0dd9\u0dcf \u1b44\u302e\U0001d165", "1 22 333 4444 55555 666666 7777777 88888888",
]
# Where what begins the text is asked for.
STARTS = ["", " a b", "a b", "  ab a", "\u00bdab", "\u4e2d\u6587", "\u0007a b", "\u0301a b", "\u2581a b", "e\u0301 b", "\u0130b", "\ufb01 x", "aa bb", "xx a", "\u0085\u2003a", "\uff9ea b"]
STARTERS = ['{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":true}',
            '{"type":"Sequence","pretokenizers":[{"type":"FixedLength","length":1},{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":false}]}',
            '{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"first","split":true}]}']
TOKENS = [
    [], [""], ["", ""], ["\u2581"], ["\u2581", "\u2581the", "\u2581", "cat"], ["\u2581\u2581a", "\u2581b\u2581"], [" ", "  a", " b ", "  "], ["a", " ", " "],
    ["the", "cat", "##s", "##", "do not", "n't", ".", ",", "'", "s", "!", "?"], ["it", "'s", "we", "'ve", "' m", " ' ", " n't do not"],
    ["<0xE4>", "<0xB8>", "<0xAD>", "a", "<0x41>"], ["\u2581", "<0x0A>", "<0x+1>", "<0xzz>", "<0x4>", "<0x041>"], ["<0xE2>", "<0x96>", "<0x81>", "x"], ["a", "<0xE4>", "b"],
    ["\u0120the", "\u010a", "\u00c3\u00a9", "\u4e2d", "a b", "\u0120"], ["h", "h", "<pad>", "h", "|", "<pad>", "|", "e", "e<pad>e", "|a|"],
    ["a</w>", "b", "</w>", "c</w></w>d", "e</w>"], ["</w>"], ["aab", "aa", "b", "aaab", "a", "ab"], ["aaa", "aa", "a"], ["ba", "bab", "b", "xb"],
    ["\u4e2d\u6587", "\u00e9", "\U0001f600", "\u2581\u0301"],
]


def samples(name):
    text = (TESTS / "component_samples.h").read_text()
    body = re.search(name + r"\[\] = \{(.*?)\};", text, re.S).group(1)
    return [m[2] or m[3] for m in re.finditer(r'R"(\w*)\((.*?)\)\1"|"(\w+)"', body, re.S)]


def tokenizer(**components):
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}} | {k: json.loads(v) for k, v in components.items()}))


def attempt(f, *args):
    try:
        return f(*args)
    except BaseException as e:  # a panic is no Exception
        if isinstance(e, (KeyboardInterrupt, SystemExit)):
            raise
        return None


def normalized(normalizer, text):
    return normalizer.normalize_str(text) if normalizer else text


def pieces(pre_tokenizer, text):
    return [piece for piece, _ in pre_tokenizer.pre_tokenize_str(text)]


def both(tk, text):
    """As encoding does it: the normalised text keeps the offsets of the original."""
    string = PreTokenizedString(text)

    def normalize(_, part):
        if tk.normalizer:
            tk.normalizer.normalize(part)
        return [part.slice((0, len(part.normalized))) if part.normalized else part]

    string.split(normalize)
    tk.pre_tokenizer.pre_tokenize(string)
    return [piece for piece, _, _ in string.get_splits()]


def decoded(decoder, tokens):
    text = decoder.decode(tokens) if decoder else " ".join(tokens)
    return None if "\ufffd" in text else text


def ranges(code_points):
    out = []
    for c in code_points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def classes():
    every = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

    def pieces_of(component):
        pre = tokenizer(pre_tokenizer=component).pre_tokenizer
        return {c: len(pre.pre_tokenize_str(f"a{chr(c)}b")) for c in every}

    def dropped(component):
        normalizer = tokenizer(normalizer=component).normalizer
        return ranges([c for c in every if normalizer.normalize_str(chr(c)) == ""])

    words = pieces_of('{"type":"Whitespace"}')
    punctuation = pieces_of('{"type":"BertPreTokenizer"}')
    digits = pieces_of('{"type":"Digits","individual_digits":false}')
    bert = '{{"type":"BertNormalizer","clean_text":{},"handle_chinese_chars":{},"strip_accents":{},"lowercase":false}}'
    lower = tokenizer(normalizer='{"type":"Lowercase"}').normalizer
    ideograph = tokenizer(normalizer=bert.format("false", "true", "false")).normalizer
    return {
        "word": ranges([c for c in every if words[c] == 1]),
        "white_space": ranges([c for c in every if words[c] == 2]),
        "punctuation": ranges([c for c in every if punctuation[c] == 3]),
        "numeric": ranges([c for c in every if digits[c] == 3]),
        "cleaned": dropped(bert.format("true", "false", "false")),
        "mark": dropped('{"type":"StripAccents"}'),
        "nonspacing": dropped(bert.format("false", "false", "true")),
        "ideograph": ranges([c for c in every if ideograph.normalize_str(chr(c)) != chr(c)]),
        "lower": [[c, ord(small)] for c in every for small in [lower.normalize_str(chr(c))] if len(small) == 1 and small != chr(c)],
    }


def main():
    if tokenizers.__version__ != PINNED:
        raise SystemExit(f"made with tokenizers {PINNED}, found {tokenizers.__version__}")
    theirs = [n for n in samples("kNormalizerSamples") if json.loads(n)["type"] not in OURS]
    golden = {"versions": {"tokenizers": PINNED}, "texts": TEXTS, "starts": STARTS, "tokens": TOKENS,
              "normalizers": [], "pre_tokenizers": [], "chains": [], "decoders": []}
    for n in theirs:
        tk = tokenizer(normalizer=n)
        golden["normalizers"].append({"json": n, "results": [attempt(normalized, tk.normalizer, t) for t in TEXTS]})
        for p in STARTERS:
            tk = tokenizer(normalizer=n, pre_tokenizer=p)
            golden["chains"].append({"normalizer": n, "pre_tokenizer": p, "results": [attempt(both, tk, t) for t in STARTS]})
    for p in samples("kPreTokenizerSamples"):
        if "ByteLevel" in p or json.loads(p) == {"type": "Sequence", "pretokenizers": []}:
            continue  # writes bytes as characters; gives the text, empty or not
        tk = tokenizer(pre_tokenizer=p)
        golden["pre_tokenizers"].append({"json": p, "results": [attempt(pieces, tk.pre_tokenizer, t) for t in TEXTS]})
    for d in samples("kDecoderSamples"):
        tk = tokenizer(decoder=d)
        golden["decoders"].append({"json": d, "results": [attempt(decoded, tk.decoder, t) for t in TOKENS]})
    golden["classes"] = classes()
    OUT.parent.mkdir(exist_ok=True)
    lines = [f"{json.dumps(k)}:" + (json.dumps(v, separators=(",", ":")) if not isinstance(v, list) or not v or not isinstance(v[0], dict)
             else "[\n" + ",\n".join(json.dumps(e, separators=(",", ":")) for e in v) + "]") for k, v in golden.items()]
    OUT.write_text("{" + ",\n".join(lines) + "}\n")
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
