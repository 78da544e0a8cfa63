#!/usr/bin/env python3
"""The numbers by which `lathe ask` judges whether the documents answer a question (documents/ask/asker.h).

    tools/calibrate_confidence.py [--lathe build/lathe] --boolq FILE.jsonl --sciq FILE.jsonl [--encoder FOLDER] [--seed 1]

Half of the passages of BoolQ and SciQ (rows with `passage` or `support`, and `question`) become documents, with planted
facts; all questions are asked. A question is answerable if its passage is indexed. Prints the logistic regression of
that on what `lathe search` finds, and at which threshold what share is right. Three
quarters of the questions are fitted, the rest judged. Needs nothing but Python.
"""
import argparse
import json
import math
import os
import random
import subprocess
import tempfile


def rows(path, key):
    with open(path, encoding="utf-8") as file:
        all_rows = [json.loads(line) for line in file if line.strip()]
    return list({r[key]: r["question"] for r in all_rows if 150 < len(r[key]) < 1500}.items())


def planted(rng, count):
    """(passage, question) of facts that no model knows."""
    towns = ["Ostrava", "Ljubljana", "Tampere", "Coimbra", "Graz", "Turku"]
    for i in range(count):
        name = f"{rng.choice(towns)} depot {i}"
        code = f"{rng.choice('KQXZ')}{rng.randrange(1000, 9999)}"
        yield f"The door of {name} opens with the code {code}.", f"What is the code of the door of {name}?"


def search(lathe, index, questions, folder):
    path = os.path.join(folder, "questions.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"query": q}) + "\n" for q in questions)
    out = subprocess.run([lathe, "search", index, "--queries", path, "--k", "5", "--json"], check=True,
                         capture_output=True, text=True).stdout
    return [json.loads(line)["results"] for line in out.splitlines()]


def fitted(points, steps=60):
    """Newton's method for the logistic regression of (features, label)."""
    n = len(points[0][0])
    w = [0.0] * n
    for _ in range(steps):
        gradient = [1e-3 * x for x in w]
        hessian = [[1e-3 * (i == j) for j in range(n)] for i in range(n)]
        for x, y in points:
            p = 1 / (1 + math.exp(-max(-30, min(30, sum(a * b for a, b in zip(w, x))))))
            for i in range(n):
                gradient[i] += (p - y) * x[i]
                for j in range(n):
                    hessian[i][j] += p * (1 - p) * x[i] * x[j]
        w = [a - b for a, b in zip(w, solved(hessian, gradient))]
    return w


def solved(a, b):
    a = [row[:] + [value] for row, value in zip(a, b)]
    n = len(a)
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(a[r][i]))
        a[i], a[pivot] = a[pivot], a[i]
        for r in range(n):
            if r != i:
                factor = a[r][i] / a[i][i]
                a[r] = [x - factor * y for x, y in zip(a[r], a[i])]
    return [a[i][n] / a[i][i] for i in range(n)]


def features(results, vectors):
    """As documents/ask/asker.cc has them."""
    def lead(key):
        values = sorted((r[key] for r in results), reverse=True)
        return values[0] - (values[1] if len(values) > 1 else 0)
    coverage = max(r["coverage"] for r in results)
    if not vectors:
        return (coverage, lead("coverage"), 1.0)
    return (max(r["cosine"] for r in results), coverage, results[0]["score"], lead("cosine"), 1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--boolq", required=True)
    parser.add_argument("--sciq", required=True)
    parser.add_argument("--encoder")
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    rng = random.Random(o.seed)
    pairs = []
    for some in (rows(o.boolq, "passage"), rows(o.sciq, "support"), list(planted(rng, 120))):
        rng.shuffle(some)
        pairs += [(passage, question, i % 2 == 0) for i, (passage, question) in enumerate(some[:400])]
    rng.shuffle(pairs)
    with tempfile.TemporaryDirectory() as folder:
        docs = os.path.join(folder, "docs")
        os.mkdir(docs)
        there = [passage for passage, _, is_there in pairs if is_there]
        for i in range(0, len(there), 20):
            with open(os.path.join(docs, f"{i:05}.txt"), "w", encoding="utf-8") as file:
                file.write("\n\n".join(" ".join(p.split()) for p in there[i:i + 20]))
        index = os.path.join(folder, "index")
        encoder = ["--encoder", o.encoder] if o.encoder else []
        subprocess.run([o.lathe, "index", docs, "--out", index, *encoder], check=True, stdout=subprocess.DEVNULL)
        found = search(o.lathe, index, [q for _, q, _ in pairs], folder)
    points = [(features(r, o.encoder), is_there) for (_, _, is_there), r in zip(pairs, found) if r]
    cut = len(points) * 3 // 4
    w = fitted(points[:cut])
    names = ("cosine", "coverage", "score", "lead of the cosine", "bias") if o.encoder else ("coverage", "its lead", "bias")
    print(", ".join(f"{name} {value:.2f}" for name, value in zip(names, w)))
    judged = [(sum(a * b for a, b in zip(w, x)), is_there) for x, is_there in points[cut:]]
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.5):
        logit = math.log(threshold / (1 - threshold))
        rate = lambda label: sum(x < logit for x, y in judged if y == label) / sum(y == label for _, y in judged)
        print(f"confidence {threshold}: abstains on {rate(False):.3f} without an answer, on {rate(True):.3f} with one")


if __name__ == "__main__":
    main()
