#!/usr/bin/env python3
"""Writes tests/text/goldens/sentencepiece.json: what sentencepiece and tokenizers make of small models and texts.

Made with sentencepiece 0.2.3 and tokenizers 0.23.3. Run from the project's root:

    python3 tools/make_sentencepiece_goldens.py

The models are drawn here, or trained on made-up words: nothing in them comes from elsewhere. Half of the scores are
whole numbers, so that segmentations tie; some texts are long, so that the float32 sums round and begin anew.
"""

import base64
import io
import json
import pathlib
import random

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import models, normalizers

PINNED = {"sentencepiece": "0.2.3", "tokenizers": "0.23.3"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/text/goldens/sentencepiece.json"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
ALPHABETS = ["ab", "abc \u2581", "a\u00e9\u2581 \u5b57", "abcdefgh  \u2581", "\u0430 \u0431\u2581\u0301e"]
EXTRAS = ["", "xyz", "<s>", "\t\u3000\uff21\ufb01\u00bd", "  ", "\U0001F680\u0301"]
RULES = "61 62\t78\n61\t41\n41 30A\tC5\n9\t20\n3000\t20\n7F\t\nFB01\t66 69\n3042 3099\t3094\n1F680\t2B\n"


def b64(data):
    return base64.b64encode(data).decode()


def text_of(rng, alphabet, length):
    return "".join(rng.choice(alphabet) for _ in range(length))


def drawn_model(rng, charsmap):
    """A Unigram model of random pieces."""
    model = pb.ModelProto()
    fallback = rng.random() < 0.2
    alphabet = rng.choice(ALPHABETS)
    pieces = {"<unk>": (0.0, UNKNOWN), "<s>": (0.0, CONTROL)}
    if fallback:
        pieces |= {f"<0x{i:02X}>": (0.0, BYTE) for i in range(256)}
    for _ in range(rng.randint(1, 24)):
        score = -float(rng.randint(1, 6)) if rng.random() < 0.5 else -rng.random() * 10
        if rng.random() < 0.05:
            score = rng.choice([0.0, 3.0, -1e4, 1e4, -60000.0])
        text = text_of(rng, alphabet.replace(" ", "\u2581"), rng.randint(1, 5))
        pieces[text] = (score, rng.choice([NORMAL] * 8 + [USER_DEFINED, UNUSED]))
    for text, (score, kind) in pieces.items():
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.byte_fallback = fallback
    model.trainer_spec.treat_whitespace_as_suffix = rng.random() < 0.2
    model.normalizer_spec.add_dummy_prefix = rng.random() < 0.5
    model.normalizer_spec.remove_extra_whitespaces = rng.random() < 0.5
    model.normalizer_spec.escape_whitespaces = rng.random() < 0.9
    model.normalizer_spec.precompiled_charsmap = rng.choice([b"", charsmap])
    return model.SerializeToString(), alphabet


def trained_model(rng, kind, **options):
    words = [text_of(rng, "bdgklmnrstaeiou", rng.randint(2, 8)) for _ in range(90)]
    lines = [" ".join(rng.choice(words) for _ in range(rng.randint(3, 12))) for _ in range(300)]
    out = io.BytesIO()
    settings = {"vocab_size": 120, "normalization_rule_name": "identity", "hard_vocab_limit": False} | options
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, model_type=kind,
                                             minloglevel=2, num_threads=1, **settings)
    return out.getvalue(), lines


def custom_charsmap(rng):
    """The rules above, compiled by the trainer."""
    OUT.parent.mkdir(exist_ok=True)
    path = OUT.with_suffix(".tsv")
    path.write_text(RULES)
    raw, _ = trained_model(rng, "unigram", normalization_rule_tsv=str(path))
    path.unlink()
    model = pb.ModelProto()
    model.ParseFromString(raw)
    return model.normalizer_spec.precompiled_charsmap


def model_cases(rng, raw, texts, nbest=0):
    sp = sentencepiece.SentencePieceProcessor(model_proto=raw)
    size = sp.get_piece_size()
    cases = [{"text": t, "normalized": sp.normalize(t), "ids": sp.encode(t)} for t in texts]
    decoded = [c["ids"] for c in cases] + [[rng.randrange(size) for _ in range(10)] for _ in range(6)]
    best = []
    for text in [t for t in texts if t][:nbest]:
        proto = sp.nbest_encode(text, nbest_size=6, out_type="proto")
        best.append({"text": text, "scores": [n.score for n in proto.nbests]})
    return {"model": b64(raw), "cases": cases, "nbest": best,
            "decoded": [{"ids": ids, "text": sp.decode(ids)} for ids in decoded]}


def long_text(rng, alphabet):
    """As run-length pairs: the golden stays small."""
    return [[text_of(rng, alphabet, rng.randint(1, 9)) + " ", rng.randint(1, 4000)] for _ in range(12)]


def sentencepiece_goldens(rng, charsmap):
    goldens = []
    for _ in range(30):
        raw, alphabet = drawn_model(rng, charsmap)
        texts = [text_of(rng, alphabet + rng.choice(EXTRAS), n) for n in (0, 1, 2, 4, 8, 20, 60)]
        goldens.append(model_cases(rng, raw, texts, nbest=5))
    for options in ({}, {"treat_whitespace_as_suffix": True}, {"byte_fallback": True, "vocab_size": 380},
                    {"self_test_sample_size": 5, "user_defined_symbols": ["<mask>", "ba ra"]}):
        raw, lines = trained_model(rng, "unigram", **options)
        golden = model_cases(rng, raw, lines[:6] + ["unknown: \u5b57 <mask>  ba ra x"], nbest=4)
        sp = sentencepiece.SentencePieceProcessor(model_proto=raw)
        runs = long_text(rng, "bdgaei n")
        ids = sp.encode("".join(text * n for text, n in runs))
        check = 0  # FNV-1a over the ids, modulo 2^32
        for value in ids:
            check = ((check ^ value) * 0x01000193) & 0xFFFFFFFF
        golden["long"] = {"runs": runs, "count": len(ids), "check": check}
        goldens.append(golden)
    return goldens


def word_goldens(rng):
    goldens = []
    for options in ({}, {"treat_whitespace_as_suffix": True, "user_defined_symbols": ["ba"]}):
        raw, lines = trained_model(rng, "word", **({"vocab_size": 40} | options))
        texts = ["", *lines[:4], " ".join(lines[4:20]), "ba  x \u5b57 \u2581\u2581a", "x y " + lines[0]]
        goldens.append(model_cases(rng, raw, texts))
    return goldens


def tokenizers_goldens(rng):
    goldens = []
    for _ in range(16):
        alphabet = rng.choice(ALPHABETS)
        fallback = rng.random() < 0.3
        pieces = {"<unk>": 0.0}
        if fallback:
            pieces |= {f"<0x{i:02X}>": -20.0 for i in range(256)}
        for _ in range(rng.randint(1, 24)):
            score = -float(rng.randint(1, 6)) if rng.random() < 0.5 else -rng.random() * 10
            pieces[text_of(rng, alphabet, rng.randint(1, 5))] = score
        model = models.Unigram(list(pieces.items()), 0, fallback)
        texts = [text_of(rng, alphabet + rng.choice(EXTRAS + ["<unk>\0"]), n) for n in (1, 2, 4, 8, 20, 60)]
        cases = [{"text": t, "ids": [token.id for token in model.tokenize(t)]} for t in texts]
        goldens.append({"vocab": list(pieces.items()), "byte_fallback": fallback, "cases": cases})
    return goldens


def precompiled_goldens(rng, charsmap):
    step = normalizers.Precompiled(charsmap)
    alphabet = ("aabA\u00c5\u030a\u0301\t\r\n\u3000\x7f\ufb01\u3042\u3099\U0001F680\u200d\U0001F468x "
                "\u1100\u1161\U0001F1E9")
    texts = [text_of(rng, alphabet, n) for n in range(1, 40)]
    return {"charsmap": b64(charsmap), "rules": RULES, "cases": [[t, step.normalize_str(t)] for t in texts]}


def main():
    versions = {"sentencepiece": sentencepiece.__version__, "tokenizers": tokenizers.__version__}
    if versions != PINNED:
        raise SystemExit(f"made with {PINNED}, found {versions}")
    rng = random.Random(20)
    charsmap = custom_charsmap(rng)
    goldens = {"versions": versions, "sentencepiece": sentencepiece_goldens(rng, charsmap),
               "tokenizers": tokenizers_goldens(rng), "precompiled": precompiled_goldens(rng, charsmap),
               "words": word_goldens(rng)}
    parts = [f'"versions":{json.dumps(versions)}']
    for key in ("sentencepiece", "tokenizers", "words"):
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in goldens[key])
        parts.append(f'"{key}":[\n{rows}\n]')
    parts.append(f'"precompiled":{json.dumps(goldens["precompiled"], separators=(",", ":"))}')
    OUT.write_text("{" + ",\n".join(parts) + "}\n")
    print(f"{OUT.name}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
