#!/usr/bin/env python3
"""How much a model repeats itself under different sampling settings: the table of docs/repetition.md.

For each setting, every prompt is continued with every seed by `lathe generate`, and over the new tokens are counted
  repeated   share of 4-grams that occurred earlier in the same text, 1 - distinct / all
  loops      share of texts that end in a passage of at most 40 tokens said three times in a row
  distinct   distinct words / words

  tools/measure_repetition.py MODEL [--lathe build/lathe] [--tokens 200] [--seeds 2] [--json out.json]
"""
import argparse
import json
import re
import subprocess
import sys

PROMPTS = [
    "The old lighthouse stood at the edge of the village, and every evening",
    "Water is important for life because",
    "My favourite recipe begins with",
    "The history of the printing press",
    "In the year 2150, people no longer",
    "She opened the letter and read:",
]

# name, arguments, whether more than one seed makes sense
SETTINGS = [
    ("greedy", "--temperature 0", False),
    ("greedy, repetition penalty 1.1", "--temperature 0 --repetition-penalty 1.1", False),
    ("greedy, repetition penalty 1.3", "--temperature 0 --repetition-penalty 1.3", False),
    ("greedy, frequency penalty 0.5", "--temperature 0 --frequency-penalty 0.5", False),
    ("greedy, no repeated 4-gram", "--temperature 0 --no-repeat-ngram-size 4", False),
    ("greedy, DRY 0.8", "--temperature 0 --dry-multiplier 0.8", False),
    ("temperature 0.5", "--temperature 0.5", True),
    ("temperature 0.8", "--temperature 0.8", True),
    ("temperature 1.0", "--temperature 1.0", True),
    ("temperature 0.8, top-p 0.95", "--temperature 0.8 --top-p 0.95", True),
    ("temperature 1.0, min-p 0.05", "--temperature 1.0 --min-p 0.05", True),
    ("temperature 0.8, top-p 0.95, DRY 0.8", "--temperature 0.8 --top-p 0.95 --dry-multiplier 0.8", True),
]


def repeated_share(ids, n=4):
    grams = [tuple(ids[i:i + n]) for i in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def ends_in_loop(ids):
    return any(len(ids) >= 3 * p and ids[-p:] == ids[-2 * p:-p] == ids[-3 * p:-2 * p] for p in range(1, 41))


def generate(args, prompt, options, seed):
    command = [args.lathe, "generate", args.model, "--prompt", prompt, "--max-new-tokens", str(args.tokens),
               "--precision", "bf16", "--ignore-eos", "--seed", str(seed), "--json"] + options.split()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def measure(args, name, options, many):
    texts = []
    for prompt in PROMPTS:
        for seed in range(args.seeds if many else 1):
            answer = generate(args, prompt, options, seed)
            texts.append((answer["output_ids"][0], answer["text"], prompt))
    words = [re.findall(r"\w+", text.lower()) for _, text, _ in texts]
    mean = lambda values: sum(values) / len(values)
    return {
        "setting": name,
        "options": options,
        "texts": len(texts),
        "repeated": mean([repeated_share(ids) for ids, _, _ in texts]),
        "loops": mean([ends_in_loop(ids) for ids, _, _ in texts]),
        "distinct": mean([len(set(w)) / len(w) for w in words if w]),
        "example": {"prompt": texts[0][2], "text": texts[0][1]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", help="also write everything, examples included, to this file")
    args = parser.parse_args()
    rows = []
    print("| setting | texts | repeated 4-grams | end in a loop | distinct words |\n|---|---|---|---|---|")
    for setting in SETTINGS:
        row = measure(args, *setting)
        rows.append(row)
        print(f"| {row['setting']} | {row['texts']} | {100 * row['repeated']:.0f} % | {100 * row['loops']:.0f} % "
              f"| {100 * row['distinct']:.0f} % |", flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump(rows, out, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
