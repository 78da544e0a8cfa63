#!/usr/bin/env python3
"""Compares what built-in tasks ask with what lm-evaluation-harness asks for the same rows, byte for byte.

    tools/compare_builtin_tasks.py --lathe build/lathe --data FOLDER [--tasks A,B] [--limit N]

Needs lm_eval of exactly the version below, and no network: of its task files only the data's place is changed. FOLDER
has the public sets as they were fetched, below the names of PLACES; a task whose set is not there is skipped, and said.
Each task is rendered without shots, and with those of its file where there are any (otherwise with its own first rows
as shots, so that their form is compared). Prints for each task how many requests (prompt, continuation, right choice)
are equal, and ends with 1 if any differs.

Three sets are not there as the public has them, and their rows are put back into that form here: LAMBADA (context and
last word are joined again), TruthfulQA (the choices are the best answer and the incorrect ones), and HellaSwag (of
which query and endings are there after the harness's cleaning: label and scene are split again, and marks in brackets
are put in, as many forms of them as the cleaning knows).
"""
import argparse
import csv
import glob
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

VERSION = "0.4.13"

# Task: (its file in lm_eval/tasks, our data, the fetched file, shots of the harness that our prompt has already).
PLACES = {
    "hellaswag": ("hellaswag/hellaswag.yaml", "hellaswag/validation.jsonl", "hellaswag_1k/hellaswag_olmes_1000.jsonl"),
    "arc_easy": ("arc/arc_easy.yaml", "arc_easy/validation.jsonl", "olmo_hf/ai2_arc__ARC-Easy__validation.jsonl"),
    "arc_challenge": ("arc/arc_challenge.yaml", "arc_challenge/validation.jsonl",
                      "olmo_hf/ai2_arc__ARC-Challenge__validation.jsonl"),
    "piqa": ("piqa/piqa.yaml", "piqa/validation.jsonl", "olmo_hf/piqa__plain_text__validation.jsonl"),
    "winogrande": ("winogrande/default.yaml", "winogrande/validation.jsonl",
                   "olmo_hf/winogrande__winogrande_xl__validation.jsonl"),
    "boolq": ("super_glue/boolq/default.yaml", "boolq/validation.jsonl", "olmo_hf/boolq__validation.jsonl"),
    "lambada_openai": ("lambada/lambada_openai.yaml", "lambada_openai/test.jsonl",
                       "llm_foundry_gauntlet/language_understanding/lambada_openai.jsonl"),
    "openbookqa": ("openbookqa/openbookqa.yaml", "openbookqa/test.jsonl",
                   "olmo_hf/openbookqa__main__validation.jsonl"),
    "commonsense_qa": ("commonsense_qa/default.yaml", "commonsense_qa/validation.jsonl",
                       "olmo_hf/tau__commonsense_qa__validation.jsonl"),
    "social_iqa": ("siqa/siqa.yaml", "social_iqa/validation.jsonl", "olmo_hf/social_i_qa__validation.jsonl"),
    "sciq": ("sciq/sciq.yaml", "sciq/test.jsonl", "olmo_hf/sciq__validation.jsonl"),
    "copa": ("super_glue/copa/default.yaml", "copa/validation.jsonl", "olmo_hf/super_glue__copa__validation.jsonl"),
    "mmlu": ("mmlu/default/mmlu_{}.yaml", "mmlu/test.jsonl", "mmlu/mmlu_test.jsonl"),
    "ceval": ("ceval/ceval-valid_{}.yaml", "ceval/val/{}_val.csv", "ceval/val/{}_val.csv"),
    "cmmlu": ("cmmlu/cmmlu_{}.yaml", "cmmlu/test/{}.csv", "cmmlu/data/test/{}.csv"),
    "gsm8k": ("gsm8k/gsm8k.yaml", "gsm8k/test.jsonl", "gsm8k/test.jsonl"),
    "hendrycks_math": ("hendrycks_math/hendrycks_math_algebra.yaml", "hendrycks_math/test.jsonl",
                       "math_sets/math/test.json"),
    "bbh": ("bbh/cot_fewshot/{}.yaml", "bbh/bbh/{}.json", "bbh/bbh/{}.json"),
    "bbh_zeroshot": ("bbh/zeroshot/{}.yaml", "bbh/bbh/{}.json", "bbh/bbh/{}.json"),
    "truthfulqa_mc1": ("truthfulqa/truthfulqa_mc1.yaml", "truthfulqa/validation.jsonl", "truthfulqa/TruthfulQA.csv"),
    "humaneval": ("humaneval/humaneval.yaml", "humaneval/HumanEval.jsonl", "humaneval/HumanEval.jsonl"),
    "ifeval": ("ifeval/ifeval.yaml", "ifeval/input_data.jsonl", "ifeval/input_data.jsonl"),
}
# Rows for shots: (our data, the fetched file).
SHOTS = {
    "mmlu": ("mmlu/dev.jsonl", "mmlu/mmlu_dev.jsonl"),
    "ceval": ("ceval/dev/{}_dev.csv", "ceval/dev/{}_dev.csv"),
    "cmmlu": ("cmmlu/dev/{}.csv", "cmmlu/data/dev/{}.csv"),
    "gsm8k": ("gsm8k/train.jsonl", "gsm8k/train.jsonl"),
}
OWN_SHOTS = ("hellaswag", "arc_easy", "arc_challenge", "piqa", "winogrande", "boolq", "openbookqa", "commonsense_qa",
             "social_iqa", "sciq", "copa", "hendrycks_math")
# Shots that stand in our prompt already.
BUILT_IN_SHOTS = {"bbh": 3}
# Of these the harness's functions load a judge from the network; they are not needed for the prompt.
WITHOUT_FUNCTIONS = ("humaneval", "ifeval")


def content(path):
    for ending, unpack in (("", ["cat"]), (".zst", ["zstdcat"]), (".gz", ["zcat"])):
        if os.path.exists(path + ending):
            return subprocess.run([*unpack, path + ending], check=True, capture_output=True).stdout.decode("utf-8-sig")
    return None


def parsed(path, text):
    if path.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(text, newline="")))
    if path.startswith("bbh/"):
        return json.loads(text)["examples"]
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def as_public(task, rows):
    """Rows of the sets that are not there in the form of the public set."""
    if task == "lambada_openai":
        return [{"text": row["context"] + " " + row["continuation"]} for row in rows]
    if task == "truthfulqa_mc1":
        choices = lambda row: [row["Best Answer"], *filter(None, map(str.strip, row["Incorrect Answers"].split(";")))]
        return [{"question": row["Question"], "mc1_targets": {
            "choices": choices(row), "labels": [1] + [0] * (len(choices(row)) - 1)}} for row in rows]
    if task == "hellaswag":
        rng, marks = random.Random(5), [" [title]", "[header]", " [step] ", "[substeps]  ", "[", "]", " [a\nb] ", "[[x] y]"]

        def marked(text):
            words = text.split(" ")
            for _ in range(rng.randrange(4)):
                words.insert(rng.randrange(len(words) + 1), rng.choice(marks))
            out = " ".join(words)
            # A choice of which nothing is left is refused, and none of the set is.
            return out if re.sub(r"\[.*?\]", "", out.replace(" [title]", ". ")).strip() else text

        def raw(row):
            label, _, scene = row["query"].partition(": ")
            before, _, last = scene.rpartition(". ")
            return {"ind": row["ind"], "activity_label": label, "ctx_a": marked(before), "ctx_b": marked(last.lower()),
                    "endings": [marked(each) for each in row["choices"]], "label": str(row["gold"])}
        return [raw(row) for row in rows]
    return rows


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def subjects_of(task, data):
    """The names that stand for {} in a fetched file's name, in our order; [""] where there is one file."""
    pattern = os.path.join(data, PLACES[task][2])
    if "{}" not in pattern:
        return [""]
    before, after = pattern.split("{}")
    found = {path[len(before):].split(after)[0] for path in glob.glob(before + "*" + after + "*")}
    return sorted(found)


class Fetched:
    """One task's rows, by subject, and the folder for --task-data that has them."""

    def __init__(self, task, data, folder):
        self.rows, self.shots = {}, {}
        _, ours, theirs = PLACES[task]
        for subject in subjects_of(task, data):
            text = content(os.path.join(data, theirs.format(subject)))
            if text is None:
                continue
            rows = as_public(task, parsed(theirs, text))
            public = text if rows and task not in ("lambada_openai", "truthfulqa_mc1", "hellaswag") else lines(rows)
            write(os.path.join(folder, ours.format(subject)), public)
            self.rows[subject] = rows
            if task in SHOTS:
                text = content(os.path.join(data, SHOTS[task][1].format(subject)))
                write(os.path.join(folder, SHOTS[task][0].format(subject)), text)
                self.shots[subject] = parsed(SHOTS[task][1], text)
            elif task in OWN_SHOTS:
                # The harness cannot use an answer in square brackets, which it takes for a list of answers.
                self.shots[subject] = [row for row in rows if "\\boxed{[" not in row.get("solution", "")][:600]
                write(os.path.join(folder, os.path.dirname(ours), "train.jsonl"), lines(self.shots[subject]))
            if task.startswith("bbh"):
                name = f"bbh/cot-prompts/{subject}.txt"
                write(os.path.join(folder, name), content(os.path.join(data, name)))
        if task == "mmlu" and self.rows:
            self.rows, self.shots = by_subject(self.rows[""]), by_subject(self.shots[""])


def by_subject(rows):
    groups = {}
    for row in rows:
        groups.setdefault(row["subject"], []).append(row)
    return groups


def for_datasets(task, rows):
    """Columns of one type for all rows."""
    keep = {"hendrycks_math": ("problem", "solution"), "ifeval": ("key", "prompt"),
            "ceval": ("question", "A", "B", "C", "D", "answer")}.get(task)
    for row in rows:
        row = {key: row[key] for key in keep or row if key}
        if task == "boolq":
            row["label"] = int(row.pop("answer"))  # as SuperGLUE has it
        yield row


class Harness:
    """The harness's task, on these rows; with `scored` also its filters and metrics."""

    def __init__(self, task, subject, rows, shots, folder, scored=False):
        import lm_eval
        from lm_eval.api.task import ConfigurableTask
        from lm_eval.tasks._yaml_loader import load_yaml
        tasks = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")
        config = load_yaml(os.path.join(tasks, PLACES[task][0].format(subject)),
                           resolve_func=task not in WITHOUT_FUNCTIONS)
        for key in ("dataset_name", "training_split", "validation_split", "fewshot_split", "tag", "num_fewshot",
                    "task_alias", "group", *(() if scored else ("filter_list", "process_results"))):
            config.pop(key, None)
        if task not in BUILT_IN_SHOTS:
            config.pop("fewshot_config", None)
        files = {"test": self.file(folder, "test", task, rows)}
        if shots:
            files["dev"] = self.file(folder, "dev", task, shots)
            config.update(fewshot_split="dev", fewshot_config={"sampler": "first_n"})
        config.update(dataset_path="json", dataset_kwargs={"data_files": files}, test_split="test")
        if not scored:
            config["metric_list"] = [{"metric": "acc" if "choice" in config["output_type"] else "perplexity"
                                      if config["output_type"] == "loglikelihood" else "exact_match"}]
        self.task = ConfigurableTask(config=config)
        self.docs = list(self.task.test_docs())

    @staticmethod
    def file(folder, name, task, rows):
        path = os.path.join(folder, "harness", name + ".jsonl")
        write(path, lines(for_datasets(task, rows)))
        return path

    def asked(self, doc, shots):
        context = self.task.fewshot_context(doc, num_fewshot=shots)
        if self.task.OUTPUT_TYPE == "generate_until":
            return [(context, None)], None
        requests = self.task.construct_requests(doc, context)
        requests = requests if isinstance(requests, list) else [requests]
        pairs = [tuple(request.arguments) for request in requests]
        if self.task.OUTPUT_TYPE == "loglikelihood":
            return pairs, None
        gold = self.task.doc_to_text(doc) if self.task.multiple_input else self.task.doc_to_target(doc)
        return pairs, gold if isinstance(gold, int) else self.task.doc_to_choice(doc).index(gold)


def ours(lathe, task, folder, shots, limit):
    out = os.path.join(folder, "out")
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([lathe, "eval", "--tasks", task, "--task-data", folder, "--shots", str(shots), "--render", "--out", out,
                    *(["--limit", str(limit)] if limit else [])], check=True, capture_output=True)
    with open(os.path.join(out, "items.jsonl"), encoding="utf-8") as file:
        for item in map(json.loads, file):
            continuations = item["continuations"] or [None]
            prompts = item["prompt"] if isinstance(item["prompt"], list) else [item["prompt"]] * len(continuations)
            yield list(zip(prompts, continuations)), item.get("gold")


def compare(lathe, task, fetched, folder, shots, limit):
    """(requests, equal ones, an example of two that differ)"""
    mine = ours(lathe, task, folder, shots, limit)
    requests = equal = rows = 0
    example = None
    for subject in fetched.rows:
        harness = Harness(task, subject, fetched.rows[subject], fetched.shots.get(subject) if shots else None, folder)
        for doc in harness.docs:
            if limit and rows == limit:
                break
            rows += 1
            theirs, gold = harness.asked(doc, shots + BUILT_IN_SHOTS.get(task, 0))
            here, my_gold = next(mine)
            assert len(theirs) == len(here), f"{task}: {len(theirs)} requests there, {len(here)} here"
            requests += len(theirs)
            for a, b in zip(theirs, here):
                if a == b and gold == my_gold:
                    equal += 1
                elif example is None:
                    example = (a, gold, b, my_gold)
    assert next(mine, None) is None, f"{task}: more items than rows"
    return requests, equal, example


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lathe", default="build/lathe")
    parser.add_argument("--data", required=True)
    parser.add_argument("--tasks", default=",".join(PLACES))
    parser.add_argument("--limit", type=int)
    o = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import logging

    import datasets
    import lm_eval
    if lm_eval.__version__ != VERSION:
        sys.exit(f"compare_builtin_tasks.py: lm_eval is {lm_eval.__version__}, expected {VERSION}")
    logging.disable(logging.WARNING)
    datasets.disable_progress_bars()
    differ = False
    for task in o.tasks.split(","):
        with tempfile.TemporaryDirectory() as folder:
            datasets.config.HF_DATASETS_CACHE = os.path.join(folder, "cache")
            fetched = Fetched(task, o.data, folder)
            if not fetched.rows:
                print(f"{task}: skipped, {PLACES[task][2]} is not in {o.data}")
                continue
            runs = [(0, o.limit)]
            if fetched.shots:
                runs.append((3, o.limit))
            if task in ("hendrycks_math", "gsm8k"):
                runs.append((500, 1))  # as many targets in one prompt
            for shots, limit in runs:
                requests, equal, example = compare(o.lathe, task, fetched, folder, shots, limit)
                differ |= requests != equal
                print(f"{task}, {shots} shots: {equal} of {requests} requests are equal", flush=True)
                if example:
                    print("  theirs:", repr(example[:2]), "\n  ours:  ", repr(example[2:]))
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
