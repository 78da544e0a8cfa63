#!/usr/bin/env python3
"""The tokenizers that people use, one thread for encoding. Each prints one JSON line.

    tokenizer_speed.py train FILE VOCABULARY         Hugging Face tokenizers: seconds, peak_rss_mib
    tokenizer_speed.py encode FILE TOKENIZER.json    Hugging Face tokenizers: mb_per_s
    tokenizer_speed.py tiktoken FILE RANKS.tiktoken  tiktoken with the pattern of cl100k: mb_per_s
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


def train(path, vocabulary):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=int(vocabulary), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    start = time.perf_counter()
    tokenizer.train([path], trainer)
    seconds = time.perf_counter() - start
    return dict(seconds=seconds, peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def rate(path, encode):
    text = open(path, encoding="utf8").read()
    documents = [text[i:i + DOCUMENT] for i in range(0, len(text), DOCUMENT)]
    start = time.perf_counter()
    for document in documents:
        encode(document)
    return dict(mb_per_s=len(text.encode()) / (time.perf_counter() - start) * 1e-6)


def main():
    what, path, other = sys.argv[1:4]
    if what == "train":
        return train(path, other)
    if what == "encode":
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(other)
        return rate(path, lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    import tiktoken
    ranks = (line.split() for line in open(other, "rb"))
    encoding = tiktoken.Encoding("cl100k", pat_str=CL100K, special_tokens={},
                                 mergeable_ranks={base64.b64decode(token): int(rank) for token, rank in ranks})
    return rate(path, encoding.encode_ordinary)


print(json.dumps(main()))
