#include "lathe/corpus/tokenizer_training.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/corpus/document_feed.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/text/split/patterns.h"

namespace lathe {

void TokenizerTrainConfig::visit(Visitor& v) {
  v.positional("files", files, "files of text or JSON, plain or compressed, or folders of them");
  v.field("vocab_size", vocab_size, "total number of tokens: special tokens, 256 bytes and merges",
          at_least(256));
  v.field("out", out, "folder for tokenizer.json and tokenizer_config.json", required());
  v.choice("pattern", pattern, names_of(kPreTokenizers), "how text is split before merging");
  v.field("special_token", special_token,
          "a special token, e.g. '<|endoftext|>'; special tokens get the lowest ids");
  v.field("eos", eos, "the special token that ends a text (default: the first)");
  v.field("bos", bos, "the special token that begins a text");
  v.field("pad", pad, "the special token that pads a batch");
  v.field("min_count", min_count, "do not merge pairs that occur less often", at_least(1));
  v.field("memory_mib", memory_mib,
          "memory to use; if the distinct words do not fit, the rarest are dropped",
          between(1, 1 << 20));
  v.field("overwrite", overwrite, "replace a tokenizer that is already in the folder");
  v.field("model_max_length", model_max_length, "written to tokenizer_config.json; 0 leaves it out",
          at_least(0));
  documents.visit(v);
}

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

BpeTrainOptions train_options(const TokenizerTrainConfig& config) {
  for (const auto* name : {&config.eos, &config.bos, &config.pad}) {
    const auto& known = config.special_token;
    require(!*name || std::find(known.begin(), known.end(), **name) != known.end(),
            ErrorKind::kUsage, "command line",
            "'{}' is not one of the special tokens; add --special-token '{}'", name->value_or(""),
            name->value_or(""));
  }
  BpeTrainOptions train;
  train.vocab_size = config.vocab_size;
  train.pattern = *find_pattern(config.pattern);
  train.special_tokens = config.special_token;
  train.min_count = config.min_count;
  train.memory_bytes = config.memory_mib << 20;
  return train;
}

std::string config_json(const TokenizerTrainConfig& config, const Tokenizer& tokenizer) {
  TokenizerConfig names;
  if (!config.special_token.empty()) names.eos = config.special_token.front();
  if (config.eos) names.eos = *config.eos;
  names.bos = config.bos.value_or("");
  names.pad = config.pad.value_or("");
  names.model_max_length = config.model_max_length;
  return tokenizer.config_json(names);
}

}  // namespace

Json TokenizerTraining::facts() const {
  const TrainStats& s = trained.stats;
  return {{"documents", counts.documents},
          {"vocab_size", trained.tokenizer.vocab_size()},
          {"merges", trained.tokenizer.merge_count()},
          {"bytes", s.bytes},
          {"words", s.words},
          {"distinct_words", s.distinct},
          {"forgotten_words", s.forgotten},
          {"last_count", s.last_count}};
}

TokenizerTraining train_tokenizer(const TokenizerTrainConfig& config,
                                  std::span<const fs::path> files,
                                  const TokenizerTrainHooks& hooks) {
  DocumentCounts counts;
  const auto read = [&](CorpusReceiver& receiver) {
    DocumentFeed feed(receiver);
    counts = read_documents(files, config.documents, feed, hooks.reading);
    if (hooks.read) hooks.read(counts);
  };
  TrainedTokenizer trained = train_bpe(read, train_options(config), hooks.learning);
  return {std::move(trained), std::move(counts)};
}

void save_tokenizer(const TokenizerTrainConfig& config, const Tokenizer& tokenizer,
                    Manifest manifest) {
  const TokenizerFile files[] = {{"tokenizer.json", tokenizer.to_json()},
                                 {"tokenizer_config.json", config_json(config, tokenizer)}};
  write_tokenizer_folder(config.out, files, std::move(manifest));
}

}  // namespace lathe
