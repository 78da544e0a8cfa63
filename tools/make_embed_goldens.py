#!/usr/bin/env python3
"""Writes tests/embed/goldens: tiny random BERTs with WordPiece, and what sentence-transformers and transformers make of texts with them.

Made with transformers 5.23.0, sentence-transformers 6.0.1 and torch 2.15.0 (CPU). Run from the project's root:

    python3 tools/make_embed_goldens.py

  sentence/        a folder as sentence-transformers saves it: BertModel, two poolings, a Dense layer, Normalize
  cross/           a BertForSequenceClassification with one label (a cross-encoder)
  token_classes/   a BertForTokenClassification
  texts.json       the texts, and the pairs of them that cross/ scores
  expected.safetensors
      ids.N              of text N, with special tokens
      states             transformers' last_hidden_state of all texts, one behind the other, without padding
      mean               their means, of length 1: what a folder without modules.json gives
      pooling.NAME       vectors of length 1 by each pooling of sentence-transformers
      sentence           those of the folder sentence/
      cut                the same with max_seq_length 6
      pair_ids.N, pair_types.N, pair_logits   of the pairs
      token_scores       of token_classes/ for text 0
"""

import json
import pathlib
import shutil
import tempfile

import sentence_transformers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PINNED = {"transformers": "5.23.0", "torch": "2.15.0", "sentence_transformers": "6.0.1"}
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/embed/goldens"
TEXTS = ["The rabbit was late for the tea.", "a watch", "Zeit 时间 Äpfel, naïve café!", "tea tea tea tea tea tea tea tea",
         "The [SEP] in a text is a token", "unbelievable unwatched teatime rabbits", "x"]
PAIRS = [(0, 1), (1, 0), (3, 5), (6, 2), (0, 0)]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
         "max_position_embeddings": 40, "initializer_range": 0.3}


def tokenizer():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(TEXTS[:4], trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", t.token_to_id("[CLS]")), ("[SEP]", t.token_to_id("[SEP]"))])
    return transformers.BertTokenizerFast(tokenizer_object=t, do_lower_case=True, model_max_length=40)


def randomised(model, seed):
    torch.manual_seed(seed)
    for parameter in model.parameters():  # norms and biases, too
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape)
    return model.float().eval()


def saved(model, words, folder):
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def vectors(folder, pooling, width, length=None, further=()):
    transformer = modules.Transformer(str(folder))
    if length:
        transformer.max_seq_length = length
    whole = sentence_transformers.SentenceTransformer(
        modules=[transformer, modules.Pooling(width, pooling_mode=pooling), *further], device="cpu")
    return whole, torch.tensor(whole.encode(TEXTS, normalize_embeddings=True, batch_size=3))


def main():
    for name, module in (("transformers", transformers), ("torch", torch), ("sentence_transformers", sentence_transformers)):
        if module.__version__.split("+")[0] != PINNED[name]:
            raise SystemExit(f"{name} is {module.__version__}, the goldens need {PINNED[name]}")
    torch.set_num_threads(1)
    torch.manual_seed(5)
    words, arrays = tokenizer(), {}
    sizes = {**SIZES, "vocab_size": len(words)}
    with tempfile.TemporaryDirectory() as temporary:
        plain = pathlib.Path(temporary) / "plain"
        bert = randomised(transformers.BertModel(transformers.BertConfig(**sizes)), 1)
        saved(bert, words, plain)
        states = []
        for n, text in enumerate(TEXTS):
            one = words(text, return_tensors="pt")
            arrays[f"ids.{n}"] = one["input_ids"][0].int()
            states.append(bert(**one).last_hidden_state[0].detach())
        arrays["states"] = torch.cat(states)
        arrays["mean"] = torch.nn.functional.normalize(torch.stack([s.mean(0) for s in states]), dim=-1)
        for pooling in modules.Pooling.POOLING_MODES:
            arrays[f"pooling.{pooling}"] = vectors(plain, pooling, 16)[1]
        torch.manual_seed(2)
        dense = modules.Dense(32, 8)
        whole, arrays["sentence"] = vectors(plain, ("cls", "mean"), 16, None, (dense, modules.Normalize()))
        shutil.rmtree(OUT, ignore_errors=True)
        whole.save(str(OUT / "sentence"))
        arrays["cut"] = vectors(plain, ("cls", "mean"), 16, 6, (dense, modules.Normalize()))[1]
    cross = randomised(transformers.BertForSequenceClassification(transformers.BertConfig(**sizes, num_labels=1)), 3)
    saved(cross, words, OUT / "cross")
    logits = []
    for n, (a, b) in enumerate(PAIRS):
        pair = words(TEXTS[a], TEXTS[b], return_tensors="pt")
        arrays[f"pair_ids.{n}"], arrays[f"pair_types.{n}"] = pair["input_ids"][0].int(), pair["token_type_ids"][0].int()
        logits.append(cross(**pair).logits[0, 0].detach())
    arrays["pair_logits"] = torch.stack(logits)
    classes = randomised(transformers.BertForTokenClassification(transformers.BertConfig(**sizes, num_labels=3)), 4)
    saved(classes, words, OUT / "token_classes")
    arrays["token_scores"] = classes(**words(TEXTS[0], return_tensors="pt")).logits[0].detach()
    (OUT / "texts.json").write_text(json.dumps({"texts": TEXTS, "pairs": PAIRS}, indent=1, ensure_ascii=False) + "\n")
    save_file({k: v.contiguous() for k, v in arrays.items()}, OUT / "expected.safetensors")
    for file in OUT.rglob("*"):
        if file.name == "README.md":
            file.unlink()
        elif file.is_file():
            file.chmod(0o644)
    print(sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()) // 1024, "KiB")


main()
