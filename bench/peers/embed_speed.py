#!/usr/bin/env python3
"""Vectors of texts by `lathe serve` and by transformers, in turns: embed_speed.py FOLDER TEXT [--lathe build/lathe] [--texts 256] [--words 8 120] [--threads 2] [--turns 5]

FOLDER is an encoder such as all-MiniLM-L6-v2, TEXT a file that is cut into texts of so many words (evenly many of each length between the two). Ours are
asked over HTTP, with all that is a part of it; theirs are sorted by length and padded in batches of 32, as sentence-transformers does, with the tokenizer's
time. Prints one JSON line: texts a second of each turn, the ratio of the medians, the same of processor time (which other programs on the machine disturb
less; --threads 1 or OMP_WAIT_POLICY=passive keeps waiting out of it), and the largest difference of a value.
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import time
import urllib.request

import torch
import transformers


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder")
    a.add_argument("text")
    a.add_argument("--lathe", default="build/lathe")
    a.add_argument("--texts", type=int, default=256)
    a.add_argument("--words", type=int, nargs=2, default=[8, 120])
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--turns", type=int, default=5)
    return a.parse_args()


def cut(text, count, least, most):
    words, at, out = text.split(), 0, []
    for i in range(count):
        length = least + (i * 7919) % (most - least + 1)
        out.append(" ".join(words[(at + j) % len(words)] for j in range(length)))
        at += length
    return out


class Ours:
    def __init__(self, o):
        self.process = subprocess.Popen([o.lathe, "serve", "m=" + o.folder, "--port", "0", "--threads", str(o.threads)], stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"] + "/v1/embeddings"

    def __call__(self, texts):
        body = json.dumps(dict(model="m", input=texts, encoding_format="base64")).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url, body, {"Content-Type": "application/json"})) as answer:
            data = json.load(answer)["data"]
        return torch.stack([torch.frombuffer(bytearray(base64.b64decode(d["embedding"])), dtype=torch.float32) for d in data])


    def seconds(self):
        """Processor time so far."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Theirs:
    seconds = staticmethod(time.process_time)

    def __init__(self, o):
        torch.set_num_threads(o.threads)
        self.words = transformers.AutoTokenizer.from_pretrained(o.folder)
        self.model = transformers.AutoModel.from_pretrained(o.folder).eval()

    @torch.inference_mode()
    def __call__(self, texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = [None] * len(texts)
        for begin in range(0, len(order), 32):
            some = order[begin:begin + 32]
            x = self.words([texts[i] for i in some], padding=True, return_tensors="pt")
            mask = x["attention_mask"][..., None]
            vectors = (self.model(**x).last_hidden_state * mask).sum(1) / mask.sum(1)
            for i, vector in zip(some, torch.nn.functional.normalize(vectors, dim=-1)):
                out[i] = vector
        return torch.stack(out)


def main():
    o = arguments()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    texts = cut(open(o.text, encoding="utf8", errors="replace").read(), o.texts, *o.words)
    ours, theirs, speeds = Ours(o), Theirs(o), dict(lathe=[], transformers=[])
    used = dict(lathe=[], transformers=[])
    try:
        difference = (ours(texts[:32]) - theirs(texts[:32])).abs().max().item()
        for _ in range(o.turns):
            for name, f in (("lathe", ours), ("transformers", theirs)):
                start, before = time.perf_counter(), f.seconds()
                f(texts)
                used[name].append(round(f.seconds() - before, 2))
                speeds[name].append(round(len(texts) / (time.perf_counter() - start), 1))
    finally:
        ours.process.terminate()
        ours.process.wait()
    ratio = statistics.median(speeds["lathe"]) / statistics.median(speeds["transformers"])
    of_processor = statistics.median(used["transformers"]) / statistics.median(used["lathe"])
    print(json.dumps(dict(texts=len(texts), words=o.words, threads=o.threads, **speeds, ratio=round(ratio, 2), processor_seconds=used,
                          ratio_of_processor_time=round(of_processor, 2), difference=difference)))


if __name__ == "__main__":
    main()
