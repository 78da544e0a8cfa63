// Trains a tokenizer on documents and writes it to a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/corpus/documents.h"
#include "lathe/io/manifest.h"
#include "lathe/text/train/bpe_trainer.h"

namespace lathe {

struct TokenizerTrainConfig {
  std::vector<std::string> files, special_token, user_symbol;
  std::string out, pattern = "gpt2", digits = "none", wordpiece_score = "frequency";
  // Without a model: byte-level BPE, of which only `pattern` says more.
  std::optional<std::string> model, pre, normalizer;
  std::optional<double> character_coverage;
  bool byte_fallback = false, sentencepiece = false;
  int64_t vocab_size = 32000, min_count = 1, memory_mib = 2048, model_max_length = 0, reserve = 0;
  std::optional<std::string> eos, bos, pad;
  bool overwrite = false;
  DocumentConfig documents;

  void visit(Visitor& v);
  // `special_token` and the reserved ones.
  std::vector<std::string> special_tokens() const;
};

struct TokenizerTraining {
  TrainedTokenizer trained;
  std::string sentencepiece_model;  // the bytes of a tokenizer.model, where one was asked for
  DocumentCounts counts;

  nlohmann::ordered_json facts() const;  // sizes and counts, for the manifest
};

struct TokenizerTrainHooks {
  ReadHook reading;
  std::function<void(const DocumentCounts&)> read;  // everything has been read, merging begins
  TrainProgress learning;
};

// Errors: kUsage for an eos, bos or pad that is not one of the special tokens; those of train_bpe
// and read_documents.
TokenizerTraining train_tokenizer(const TokenizerTrainConfig& config,
                                  std::span<const std::filesystem::path> files,
                                  const TokenizerTrainHooks& hooks);

// Writes tokenizer.json, tokenizer_config.json, tokenizer.model where one was asked for, vocab.txt
// of a WordPiece vocabulary, and the manifest to config.out.
void save_tokenizer(const TokenizerTrainConfig& config, const TokenizerTraining& training,
                    Manifest manifest);

// A file and how often its texts count: "a.jsonl:0.3" is (a.jsonl, 0.3), unless a file has that
// name; without a weight it is 1.
struct WeightedPath {
  std::string path;
  double weight = 1;
};
std::vector<WeightedPath> weighted_paths(std::span<const std::string> arguments);

}  // namespace lathe
