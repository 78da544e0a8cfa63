#!/usr/bin/env python3
"""Built-in tasks by lathe eval and by lm-evaluation-harness, in one run: scores, seconds and memory of both.

    bench/peers/lm_eval_tasks.py --data FOLDER --model FOLDER --tasks hellaswag,arc_easy --limit 500 --json out.json

FOLDER of --data is that of tools/compare_builtin_tasks.py, which says what lies in it. Both are asked the same rows, by
the harness's own task files, one task after the other in processes of their own; loading the model is part of the time.
The harness gets `--batch` requests at a time. It is asked in --peer-precision, lathe in --precision. With --repeat lathe's
answers in --precision are also compared with those in fp32. Close other programs where seconds matter.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
from compare_builtin_tasks import VERSION, Fetched, Harness  # noqa: E402


def run(command):
    """(seconds, most resident MiB) of a process."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"lm_eval_tasks.py: {' '.join(command)} ended with {status}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def ours(o, task, folder, precision, out):
    seconds, memory = run([o.lathe, "eval", o.model, "--tasks", task, "--task-data", folder, "--shots", str(o.shots),
                           "--limit", str(o.limit), "--precision", precision, "--no-contamination", "--out", out])
    with open(os.path.join(out, "results.json")) as file:
        result = json.load(file)["tasks"][task]
    return {"n": result["n"], "seconds": seconds, "mib": memory,
            "metrics": {name: [m["value"], m["stderr"]] for name, m in result["metrics"].items()}}


def logprobs(out):
    with open(os.path.join(out, "items.jsonl"), encoding="utf-8") as file:
        return [x for item in map(json.loads, file) for x in item.get("logprobs", [])]


def theirs(o, task, folder):
    """In a process of its own (--peer), whose answer is a file."""
    answer = os.path.join(folder, "peer.json")
    seconds, memory = run([sys.executable, os.path.abspath(__file__), "--peer", answer, "--data", o.data, "--model", o.model,
                           "--tasks", task, "--limit", str(o.limit), "--shots", str(o.shots), "--batch", str(o.batch),
                           "--peer-precision", o.peer_precision])
    with open(answer) as file:
        return {**json.load(file), "seconds": seconds, "mib": memory}


def peer(o):
    import logging

    import datasets
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    import transformers
    if lm_eval.__version__ != VERSION:
        sys.exit(f"lm_eval_tasks.py: lm_eval is {lm_eval.__version__}, expected {VERSION}")
    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        datasets.config.HF_DATASETS_CACHE = os.path.join(folder, "cache")
        fetched = Fetched(o.tasks, o.data, folder)
        model = HFLM(pretrained=o.model, dtype=o.peer_precision, device="cpu", batch_size=o.batch)
        metrics, n = {}, 0
        subject = next(iter(fetched.rows))  # of MMLU the first, which --limit takes rows from
        task = Harness(o.tasks, subject, fetched.rows[subject], fetched.shots.get(subject) if o.shots else None, folder,
                       scored=True).task
        task.set_config("num_fewshot", o.shots)
        results = lm_eval.simple_evaluate(model=model, tasks=[task], num_fewshot=o.shots, limit=o.limit, log_samples=True,
                                          bootstrap_iters=1000, verbosity="ERROR")
        (result,), (samples,) = results["results"].values(), results["samples"].values()
        n = len({sample["doc_id"] for sample in samples})
        for name, value in result.items():
            if "," in name and "_stderr" not in name:
                metric, filtered = name.split(",")
                error = result.get(f"{metric}_stderr,{filtered}")
                metrics[metric if filtered == "none" else f"{metric}@{filtered}"] = [
                    value, error if isinstance(error, float) else None]
    with open(o.peer, "w") as file:
        json.dump({"n": n, "metrics": metrics}, file)


def shown(value, error):
    return f"{value:.4f}" + (f" ± {error:.4f}" if error is not None else "")


def compare(o, task):
    with tempfile.TemporaryDirectory() as folder:
        fetched = Fetched(task, o.data, folder)
        if not fetched.rows:
            sys.exit(f"lm_eval_tasks.py: the rows of {task} are not in {o.data}")
        mine = ours(o, task, folder, o.precision, os.path.join(folder, "mine"))
        if o.repeat:
            ours(o, task, folder, "fp32", os.path.join(folder, "exact"))
            pairs = zip(logprobs(os.path.join(folder, "mine")), logprobs(os.path.join(folder, "exact")), strict=True)
            apart = [abs(a - b) for a, b in pairs]
            mine["deviation"] = {"mean": sum(apart) / len(apart), "most": max(apart)}
        return {"task": task, "shots": o.shots, "lathe": mine, "lm_eval": theirs(o, task, folder)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tasks", default="hellaswag,arc_easy,piqa,lambada_openai,gsm8k")
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--peer-precision", default="float32")
    parser.add_argument("--repeat", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    o = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    if o.peer:
        return peer(o)
    results = []
    for task in o.tasks.split(","):
        result = compare(o, task)
        results.append(result)
        a, b = result["lathe"], result["lm_eval"]
        print(f"{task}, {a['n']} and {b['n']} items, {o.shots} shots: {a['seconds']:.1f} s and {b['seconds']:.1f} s, "
              f"{b['seconds'] / a['seconds']:.2f} times; {a['mib']:.0f} and {b['mib']:.0f} MiB", flush=True)
        for name, value in a["metrics"].items():
            other = b["metrics"].get(name)
            print(f"  {name}: {shown(*value)}; lm-eval {shown(*other) if other else 'has none'}", flush=True)
        if o.repeat:
            print(f"  log-likelihoods in {o.precision} beside fp32: {a['deviation']['mean']:.4f} apart in the mean, "
                  f"{a['deviation']['most']:.4f} at most", flush=True)
        if o.json:
            with open(o.json, "w") as file:
                json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
