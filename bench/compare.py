"""Measures Lathe and its peers one after the other, and prints one table; bench/run.sh starts it.

Each figure of Lathe comes from `lathe bench … --json`, each of a peer from its own program at its best settings (PyTorch:
the faster of eager and torch.compile). A limit is what the machine allows: the matrix rate or the read bandwidth of
`lathe bench machine`. What cannot be measured is listed with its reason, and the exit status is 1 then.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TIME_LIMIT = 1200  # seconds for one command: bf16 without bf16 instructions takes PyTorch minutes a step


def run(command, text=None):
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True,
                          timeout=TIME_LIMIT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))}: {done.stderr.strip()[-300:]}")
    return done.stdout


def last_json(output):
    return json.loads([line for line in output.splitlines() if line.startswith("{")][-1])


class Comparison:
    def __init__(self, options):
        self.options = options
        self.rows, self.missing = [], []
        self.machine = self.bench("machine")

    def bench(self, *arguments):
        return last_json(run([self.options.lathe, "bench", *arguments, "--json"]))

    def peer(self, script, *arguments, text=None):
        return last_json(run([sys.executable, os.path.join(HERE, "peers", script), *arguments], text))

    def path(self, *parts):
        return os.path.join(self.options.peers, *parts)

    def add(self, work, unit, ours, peer=None, peer_name="", limit=None, less_is_better=False):
        """One line; the ratio is how many times better ours is."""
        ratio = None if peer is None else peer / ours if less_is_better else ours / peer
        share = None if limit is None else ours / limit
        self.rows.append(dict(work=work, unit=unit, ours=ours, peer=peer, peer_name=peer_name, ratio=ratio, limit=limit,
                              share=share))
        print(line(self.rows[-1]), flush=True)

    def section(self, name, measure):
        """A peer that is missing or too slow costs its own lines, not the run."""
        try:
            measure()
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            self.missing.append((name, str(error)))
            print(f"{name}: not measured: {error}", flush=True)

    # --- sections -----------------------------------------------------------------------------------------------

    def train(self, preset, precision, steps):
        ours = self.bench("train", "--preset", preset, "--precision", precision, "--steps", steps)
        shape = run([self.options.lathe, "inspect", preset, "--json"])
        theirs = [self.peer("torch_step.py", mode, precision, steps, text=shape) for mode in ("eager", "compile")]
        name = f"{preset} {precision}"
        self.add(f"train {name}", "tokens/s", ours["tokens_per_s"], max(t["tokens_per_s"] for t in theirs), "PyTorch")
        self.add(f"train {name}", "GFLOP/s", ours["model_gflops"], limit=self.machine[precision + "_gflops"])
        self.add(f"train {name}, memory", "MiB", ours["peak_rss_mib"], min(t["peak_rss_mib"] for t in theirs), "PyTorch",
                 less_is_better=True)

    def experts(self):
        rates = [self.bench("train", "--preset", preset, "--precision", "bf16")["tokens_per_s"]
                 for preset in ("m26-moe4", "m26")]
        self.add("train m26-moe4 bf16, 4 experts", "tokens/s", rates[0], rates[1], "dense m26")

    def checkpoint(self):
        ours = self.bench("checkpoint", "--preset", "gpt2-124m")
        self.add("checkpoint gpt2-124m, pause", "ms", ours["pause_ms"])
        self.add("checkpoint gpt2-124m, until durable", "ms", ours["write_ms"])

    def attention(self, tokens="8192", precision="bf16"):
        command = ("attention", "--seq-len", tokens, "--heads", "8", "--head-dim", "64", "--precision", precision)
        ours, theirs = self.bench(*command), self.peer("torch_attention.py", tokens, precision)
        for way in ("forward_gflops", "backward_gflops"):
            self.add(f"attention {tokens} {precision}, {way.split('_')[0]}", "GFLOP/s", ours[way], theirs[way], "PyTorch",
                     self.machine[precision + "_gflops"])
        for bias in ("alibi", "t5"):
            biased = self.bench(*command, "--bias", bias)
            self.add(f"attention with {bias}, forward", "GFLOP/s", biased["forward_gflops"], ours["forward_gflops"], "plain")

    def decode(self):
        model, gguf = self.path("smollm2"), self.path("smollm2-BF16.gguf")
        runs = json.loads(run([self.path("llama/build/bin/llama-bench"), "-t", os.cpu_count(), "-r", "3", "-o", "json",
                               "-m", gguf, "-p", "512", "-n", "64"]))
        prefill, decode = (r["avg_ts"] for r in runs)
        size = os.path.getsize(os.path.join(model, "model.safetensors"))
        ours = self.bench("decode", model, "--new-tokens", "64", "--precision", "bf16")
        self.add("decode SmolLM2-135M bf16, batch 1", "tokens/s", ours["tokens_per_s"], decode, "llama.cpp",
                 self.machine["read_gbps"] * 1e9 / size)
        ours = self.bench("prefill", model, "--tokens", "512", "--precision", "bf16")
        self.add("prefill 512 tokens bf16", "tokens/s", ours["tokens_per_s"], prefill, "llama.cpp",
                 ours["tokens_per_s"] / ours["share_of_matrix_rate"])
        start = min(self.timed([self.options.lathe, "generate", model, "--prompt", "Hello", "--max-new-tokens", "1"])[0]
                    for _ in range(5))
        self.add("start to first token, warm", "ms", start * 1e3)

    def tune(self, steps="6", sequences="4", tokens="512"):
        """LoRA and QLoRA beside PEFT in bf16, which has no four bits on a CPU."""
        if not self.options.rows:
            raise RuntimeError("give --rows FILE.jsonl, some hundred rows with the keys of Alpaca")
        model, rows = self.path("smollm2"), self.options.rows
        theirs = [self.peer("peft_step.py", mode, model, rows, steps, sequences, tokens) for mode in ("eager", "compile")]
        for name, keys in (("LoRA", []), ("QLoRA", ["--model.quantization=nf4"])):
            with tempfile.TemporaryDirectory() as folder:
                out = os.path.join(folder, "run")
                ours = last_json(run([
                    self.options.lathe, "sft", model, rows, f"--train.out={out}", f"--train.steps={steps}",
                    f"--train.batch_size={sequences}", f"--train.seq_len={tokens}", "--data.packing=true",
                    "--adapter.peft_type=LORA", "--adapter.r=8", "--adapter.lora_alpha=16",
                    '--adapter.target_modules=["q_proj","v_proj"]', "--train.checkpoint_every=0", *keys, "--json"]))
                with open(os.path.join(out, "metrics.jsonl"), encoding="utf8") as file:
                    step_ms = statistics.median([json.loads(text)["step_ms"] for text in file][1:])
            self.add(f"{name} step, {sequences} x {tokens} tokens", "ms", step_ms, min(t["step_ms"] for t in theirs), "PEFT",
                     less_is_better=True)
            self.add(f"{name}, memory", "MiB", ours["peak_memory_mib"], min(t["peak_rss_mib"] for t in theirs), "PEFT",
                     less_is_better=True)

    def rollouts(self):
        model = self.path("smollm2")
        ours = self.bench("batch", model, "--sequences", "32", "--prompt-tokens", "64", "--new-tokens", "128")
        theirs = self.peer("transformers_generate.py", model, "32", "64", "128")
        self.add("32 rollouts of 128 tokens bf16", "tokens/s", ours["tokens_per_s"], theirs["tokens_per_s"], "transformers")

    def timed(self, command):
        """Wall seconds and peak MiB of the command alone."""
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise RuntimeError(f"{command[1]} failed")
        return time.perf_counter() - start, used.ru_maxrss / 1024

    def tokenizer(self):
        corpora, tokenizers = self.options.corpus or [], self.options.tokenizer or []
        if not corpora:
            raise RuntimeError("give --corpus FILE, a text of some 10 MB or more in the languages that matter to you")
        with tempfile.TemporaryDirectory() as folder:
            for name in TRAINED:
                self.section(f"train {name}", lambda: self.train_tokenizer(name, corpora[0], os.path.join(folder, name)))
            tokenizers = [os.path.join(folder, "byte BPE", "tokenizer.json"), *tokenizers]
            for tokenizer in tokenizers:
                for corpus in corpora:
                    self.section(f"encode with {tokenizer}", lambda: self.tokenizer_speed(tokenizer, corpus))

    def train_tokenizer(self, name, corpus, out):
        arguments, size, peers = TRAINED[name]
        seconds, memory = self.timed([self.options.lathe, "tokenizer", "train", *arguments, "--vocab-size", size, "--out",
                                      out, corpus])
        for kind, peer in peers:
            theirs = self.peer("tokenizer_speed.py", "train", corpus, kind, size)
            self.add(f"train {name} of {size}", "s", seconds, theirs["seconds"], peer, less_is_better=True)
            self.add(f"train {name} of {size}, memory", "MiB", memory, theirs["peak_rss_mib"], peer, less_is_better=True)

    def tokenizer_speed(self, tokenizer, corpus):
        ours = self.bench("tokenizer", tokenizer, corpus, "--threads", "1")
        theirs = self.peer("tokenizer_speed.py", "encode", corpus, tokenizer)
        ending = os.path.splitext(tokenizer)[1]
        peer = {".model": "sentencepiece", ".tiktoken": "tiktoken"}.get(ending, "tokenizers")
        what = f"{os.path.basename(tokenizer)}, {os.path.basename(corpus)}"
        self.add(f"encode {what}", "MB/s", ours["mb_per_s"], theirs["mb_per_s"], peer)
        self.add(f"decode {what}", "MB/s", ours["decode_mb_per_s"], theirs["decode_mb_per_s"], peer)
        self.add(f"load {what}", "ms", ours["load_ms"], theirs["load_ms"], peer, less_is_better=True)


# Name: what `lathe tokenizer train` is given, the size, and the peers' trainers (peers/tokenizer_speed.py).
SENTENCEPIECE = ("--normalizer", "nmt_nfkc", "--sentencepiece")
TRAINED = {
    "byte BPE": ((), "32000", [("byte_bpe", "tokenizers")]),
    "BPE": (("--model", "bpe", "--byte-fallback", *SENTENCEPIECE), "32000", [("sentencepiece_bpe", "sentencepiece")]),
    "Unigram": (("--model", "unigram", *SENTENCEPIECE), "32000",
                [("sentencepiece_unigram", "sentencepiece"), ("unigram", "tokenizers")]),
    "WordPiece": (("--model", "wordpiece", "--special-token", "[UNK]"), "30000", [("wordpiece", "tokenizers")]),
}


def line(row):
    def cell(value, width, form):
        return f"{'' if value is None else format(value, form):>{width}}"
    return (f"{row['work']:<42}{row['ours']:>12.4g} {row['unit']:<9}{cell(row['peer'], 11, '.4g')} {row['peer_name']:<11}"
            f"{cell(row['ratio'], 8, '.2f')}{cell(row['limit'], 11, '.4g')}{cell(row['share'], 8, '.0%')}")


SECTIONS = ("train", "small", "attention", "decode", "tune", "rollouts", "tokenizer", "checkpoint")


def parse():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lathe", default=os.path.join(HERE, "..", "build", "lathe"), help="the program")
    parser.add_argument("--peers", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, of " + ",".join(SECTIONS))
    parser.add_argument("--precision", default="bf16,fp32", help="of training, one or both")
    parser.add_argument("--corpus", action="append",
                        help="text for the tokenizer section; may be given several times, the first is trained on")
    parser.add_argument("--tokenizer", action="append",
                        help="a tokenizer to measure there: a .model, tokenizer.json, vocab.txt or .tiktoken; several times")
    parser.add_argument("--rows", help="rows with the keys of Alpaca (JSON lines) for the tune section")
    parser.add_argument("--json", help="file for the rows")
    options = parser.parse_args()
    unknown = set(options.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return options


def main():
    options = parse()
    c = Comparison(options)
    wanted, precisions = options.only.split(","), options.precision.split(",")
    m = c.machine
    print(f"machine: fp32 {m['fp32_gflops']:.0f}, bf16 {m['bf16_gflops']:.0f} GFLOP/s, read {m['read_gbps']:.1f} GB/s\n")
    print(f"{'work':<42}{'ours':>12} {'unit':<9}{'peer':>11} {'':<11}{'ratio':>8}{'limit':>11}{'share':>8}", flush=True)
    if "train" in wanted:
        for preset, steps in (("m26", "6"), ("gpt2-124m", "3")):
            for precision in precisions:
                c.section(f"train {preset} {precision}", lambda: c.train(preset, precision, steps))
        c.section("experts", c.experts)
    if "small" in wanted:
        for preset, precision, steps in (("m1", "bf16", "20"), ("m1-small", "fp32", "60")):
            c.section(f"train {preset} {precision}", lambda: c.train(preset, precision, steps))
    for name in SECTIONS[2:]:
        if name in wanted:
            c.section(name, getattr(c, name))
    if options.json:
        with open(options.json, "w", encoding="utf8") as file:
            json.dump(dict(machine=m, rows=c.rows, missing=c.missing), file, indent=1)
    sys.exit(1 if c.missing else 0)


main()
