// A tokenizer learned from documents, and the folder that it is written to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lathe/base/catalogue.h"
#include "lathe/corpus/documents.h"
#include "lathe/io/manifest.h"
#include "lathe/text/bpe_trainer.h"
#include "lathe/text/patterns.h"

namespace lathe {

struct TokenizerTrainConfig {
  std::vector<std::string> files, special_token;
  std::string out, pattern = "gpt2";
  int64_t vocab_size = 32000, min_count = 1, memory_mib = 2048, model_max_length = 0;
  std::optional<std::string> eos, bos, pad;
  bool overwrite = false;
  DocumentConfig documents;

  template <class V>
  void visit(V& v) {
    v.positional("files", files, "files of text or JSON, also packed, or folders of them");
    v.field("vocab_size", vocab_size, "tokens in all: special tokens, 256 bytes, merges",
            at_least(256));
    v.field("out", out, "folder for tokenizer.json and tokenizer_config.json", required());
    v.choice("pattern", pattern, names_of(kPreTokenizers), "how text is cut before merging");
    v.field("special_token", special_token,
            "a special token, e.g. '<|endoftext|>'; may be repeated, gets the lowest ids");
    v.field("eos", eos, "which of them ends a text (default: the first)");
    v.field("bos", bos, "which of them begins a text");
    v.field("pad", pad, "which of them fills up a batch");
    v.field("min_count", min_count, "pairs that occur less often are not merged", at_least(1));
    v.field("memory_mib", memory_mib,
            "memory to use; when the distinct words do not fit, the rarest are forgotten",
            between(1, 1 << 20));
    v.field("overwrite", overwrite, "replace the tokenizer that is in the folder");
    v.field("model_max_length", model_max_length,
            "written to tokenizer_config.json; 0 leaves it out", at_least(0));
    documents.visit(v);
  }
};

struct TokenizerTraining {
  TrainedTokenizer trained;
  DocumentCounts counts;

  nlohmann::ordered_json facts() const;  // sizes and counts, for the manifest
};

struct TokenizerTrainHooks {
  ReadHook reading;
  std::function<void(const DocumentCounts&)> read;  // all is read, merging begins
  BpeTrainProgress merging;
};

// Error kIo when the folder holds a tokenizer that may not be replaced. Cheap: ask before reading.
void refuse_existing_tokenizer(const TokenizerTrainConfig& config);

// Errors: kUsage for an eos, bos or pad that is not one of the special tokens; those of train_bpe and
// read_documents.
TokenizerTraining train_tokenizer(const TokenizerTrainConfig& config,
                                  std::span<const std::filesystem::path> files,
                                  const TokenizerTrainHooks& hooks);

// Writes tokenizer.json, tokenizer_config.json and the manifest into config.out.
void save_tokenizer(const TokenizerTrainConfig& config, const Tokenizer& tokenizer,
                    Manifest manifest);

}  // namespace lathe
