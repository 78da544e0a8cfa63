#!/usr/bin/env python3
"""The tokenizers that people use. Each command prints one JSON line.

    tokenizer_speed.py encode FILE TOKENIZER    one thread: mb_per_s, decode_mb_per_s, load_ms. `sentencepiece` for a
                                                .model, tiktoken for a .tiktoken (the pattern of cl100k), else
                                                `tokenizers` for a tokenizer.json or BERT's vocab.txt
    tokenizer_speed.py train FILE KIND SIZE     all threads: seconds, peak_rss_mib; KIND is one of TRAINERS
"""
import base64
import json
import os
import resource
import sys
import time

os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"} if sys.argv[1] != "train" else {}
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
          r"|\s*[\r\n]|\s+(?!\S)|\s+")
DOCUMENT = 4000  # characters, as `lathe bench tokenizer` cuts
PASSES = 3


def byte_bpe(path, size):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train([path], trainers.BpeTrainer(vocab_size=size, show_progress=False,
                                                initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))


def wordpiece(path, size):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train([path], trainers.WordPieceTrainer(vocab_size=size, show_progress=False, special_tokens=["[UNK]"]))


def unigram(path, size):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train([path], trainers.UnigramTrainer(vocab_size=size, show_progress=False, unk_token="<unk>",
                                                    special_tokens=["<unk>"]))


def sentencepiece(kind):
    def train(path, size):
        import sentencepiece as spm
        spm.SentencePieceTrainer.train(input=path, model_prefix=os.path.join(os.environ.get("TMPDIR", "/tmp"), "peer"),
                                       vocab_size=size, model_type=kind, byte_fallback=kind == "bpe",
                                       num_threads=os.cpu_count(), minloglevel=2, max_sentence_length=100000)
    return train


TRAINERS = {"byte_bpe": byte_bpe, "wordpiece": wordpiece, "unigram": unigram,
            "sentencepiece_bpe": sentencepiece("bpe"), "sentencepiece_unigram": sentencepiece("unigram")}


def train(path, kind, size):
    start = time.perf_counter()
    TRAINERS[kind](path, int(size))
    return dict(seconds=time.perf_counter() - start,
                peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def from_sentencepiece(path):
    import sentencepiece as spm
    model = spm.SentencePieceProcessor(model_file=path)
    return model.encode, model.decode


def from_tiktoken(path):
    import tiktoken
    ranks = (line.split() for line in open(path, "rb"))
    encoding = tiktoken.Encoding("cl100k", pat_str=CL100K, special_tokens={},
                                 mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in ranks})
    return encoding.encode_ordinary, encoding.decode


def from_tokenizers(path):
    from tokenizers import BertWordPieceTokenizer, Tokenizer
    tokenizer = BertWordPieceTokenizer(path) if path.endswith(".txt") else Tokenizer.from_file(path)
    return (lambda text: tokenizer.encode(text, add_special_tokens=False).ids), tokenizer.decode


LOADERS = {".model": from_sentencepiece, ".tiktoken": from_tiktoken}


def best(work, items):
    def seconds():
        start = time.perf_counter()
        for item in items:
            work(item)
        return time.perf_counter() - start
    return min(seconds() for _ in range(PASSES))


def encode(path, tokenizer):
    loader = LOADERS.get(os.path.splitext(tokenizer)[1], from_tokenizers)
    loader(tokenizer)  # the first call imports the package
    start = time.perf_counter()
    to_ids, to_text = loader(tokenizer)
    load = time.perf_counter() - start
    text = open(path, encoding="utf8").read()
    documents = [text[i:i + DOCUMENT] for i in range(0, len(text), DOCUMENT)]
    megabytes = len(text.encode()) * 1e-6
    ids = [to_ids(document) for document in documents]
    return dict(mb_per_s=megabytes / best(to_ids, documents), decode_mb_per_s=megabytes / best(to_text, ids),
                load_ms=load * 1e3)


print(json.dumps({"train": train, "encode": encode}[sys.argv[1]](*sys.argv[2:])))
