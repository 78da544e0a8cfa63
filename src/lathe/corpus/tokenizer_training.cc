#include "lathe/corpus/tokenizer_training.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/corpus/document_feed.h"
#include "lathe/corpus/tokenizer_folder.h"
#include "lathe/corpus/train_model.h"
#include "lathe/text/chat_tokens.h"
#include "lathe/text/split/digits.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/tokenizer_data.h"
#include "lathe/text/train/text_preparation.h"

namespace lathe {

void TokenizerTrainConfig::visit(Visitor& v) {
  v.positional("files", files,
               "files of text or JSON, plain or compressed, or folders of them; FILE:0.3 counts "
               "every text of it 0.3 times");
  v.field("vocab_size", vocab_size, "total number of tokens, special ones included", at_least(1));
  v.field("out", out, "folder for tokenizer.json and tokenizer_config.json", required());
  v.choice("model", model, names_of(kTrainedModels),
           "kind of model (default: bpe on bytes, split by --pattern)");
  v.choice("pre", pre, split_names(),
           "how text is split into words; the default goes with the model, and a pattern means BPE "
           "on bytes");
  v.field("normalizer", normalizer,
          "none, nfc, nfkc, nfkc_cf, nmt_nfkc, bert_cased, bert_uncased, or a file of rules in "
          "SentencePiece's format; the default goes with the model");
  v.choice("pattern", pattern, names_of(kPreTokenizers), "how text is split before bytes merge");
  v.field("byte_fallback", byte_fallback,
          "add tokens for the 256 bytes, into which characters without a token are cut");
  v.choice("digits", digits, names_of(kDigitPolicies), "how numbers are cut");
  v.field("character_coverage", character_coverage,
          "share of the text whose characters get a token (default: 0.9995; all for WordPiece and "
          "characters)",
          between(0, 1));
  v.field("sentencepiece", sentencepiece,
          "write a tokenizer.model, too (unigram, and bpe with metaspace); <unk>, <s> and </s> "
          "are then its first tokens");
  v.choice("wordpiece_score", wordpiece_score, {"frequency", "likelihood"},
           "what WordPiece merges first: the most frequent pair (tokenizers), or the one that "
           "raises the likelihood most (BERT)");
  v.field("user_symbol", user_symbol, "a string that is always one token");
  v.field("special_token", special_token,
          "a special token, e.g. '<|endoftext|>'; special tokens get the lowest ids");
  v.field(
      "reserve", reserve,
      "special tokens without a meaning yet, which `lathe tokenizer extend` gives to later ones",
      between(0, 1 << 20));
  v.field("eos", eos, "the special token that ends a text (default: the first)");
  v.field("bos", bos, "the special token that begins a text");
  v.field("pad", pad, "the special token that pads a batch");
  v.field("min_count", min_count, "do not merge pairs that occur less often", at_least(1));
  v.field("memory_mib", memory_mib,
          "memory to use; if the distinct words do not fit, rare ones are dropped",
          between(1, 1 << 20));
  v.field("overwrite", overwrite, "replace a tokenizer that is already in the folder");
  v.field("model_max_length", model_max_length, "written to tokenizer_config.json; 0 leaves it out",
          at_least(0));
  documents.visit(v);
}

std::vector<std::string> TokenizerTrainConfig::special_tokens() const {
  std::vector<std::string> tokens = special_token;
  for (int64_t n = 0; n < reserve; ++n) tokens.push_back(reserved_token(n));
  return tokens;
}

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void check_names(const TokenizerTrainConfig& config) {
  for (const auto* name : {&config.eos, &config.bos, &config.pad}) {
    const auto& known = config.special_token;
    require(!*name || std::find(known.begin(), known.end(), **name) != known.end(),
            ErrorKind::kUsage, "command line",
            "'{}' is not one of the special tokens; add --special-token '{}'", name->value_or(""),
            name->value_or(""));
  }
}

// Each text counts as often as the weight of its file says.
class WeightedFeed : public DocumentFeed {
 public:
  WeightedFeed(CorpusReceiver& to, std::span<const double> weights)
      : DocumentFeed(to), to_(to), weights_(weights) {}
  void begin(const DocumentPlace& place) override { to_.set_weight(weights_[place.file]); }

 private:
  CorpusReceiver& to_;
  std::span<const double> weights_;  // by file
};

// The weight of every file that the arguments lead to, in the order of the files.
std::vector<double> weights_of_files(std::span<const std::string> arguments) {
  std::vector<double> weights;
  for (const WeightedPath& w : weighted_paths(arguments)) {
    const std::vector<std::string> one = {w.path};
    weights.resize(weights.size() + list_text_files(one).files.size(), w.weight);
  }
  return weights;
}

// BERT's vocab.txt: a token in each line, in the order of ids.
std::string vocabulary_lines(const Tokenizer& tokenizer) {
  std::string lines;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    lines += tokenizer.data().spelling_of_token(id) + "\n";
  return lines;
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

std::vector<WeightedPath> weighted_paths(std::span<const std::string> arguments) {
  std::vector<WeightedPath> paths;
  for (const std::string& argument : arguments) {
    WeightedPath& w = paths.emplace_back(WeightedPath{argument});
    std::error_code ignored;
    const size_t colon = argument.rfind(':');
    if (colon == std::string::npos || fs::exists(argument, ignored)) continue;
    const char *begin = argument.data() + colon + 1, *end = argument.data() + argument.size();
    double weight = 0;
    const auto [next, error] = std::from_chars(begin, end, weight);
    if (error != std::errc() || next != end) continue;
    require(weight > 0 && std::isfinite(weight), ErrorKind::kUsage, "command line",
            "the weight of {} is {}, expected more than 0", argument.substr(0, colon), weight);
    w = {argument.substr(0, colon), weight};
  }
  return paths;
}

TokenizerTraining train_tokenizer(const TokenizerTrainConfig& config,
                                  std::span<const fs::path> files,
                                  const TokenizerTrainHooks& hooks) {
  check_names(config);
  const std::vector<double> weights = weights_of_files(config.files);
  require(weights.size() == files.size(), ErrorKind::kIo, "train",
          "the folders now hold {} files, {} before; run the command again", weights.size(),
          files.size());
  DocumentCounts counts;
  const auto read = [&](CorpusReceiver& receiver) {
    WeightedFeed feed(receiver, weights);
    counts = read_documents(files, config.documents, feed, hooks.reading);
    if (hooks.read) hooks.read(counts);
  };
  TokenizerTraining training = train_model(config, weights, read, hooks.learning);
  training.counts = std::move(counts);
  return training;
}

void save_tokenizer(const TokenizerTrainConfig& config, const TokenizerTraining& training,
                    Manifest manifest) {
  const Tokenizer& tokenizer = training.trained.tokenizer;
  // (An initialiser list here sets off a false alarm of GCC 12 about array bounds.)
  std::vector<TokenizerFile> files;
  files.push_back({"tokenizer.json", tokenizer.to_json()});
  files.push_back({"tokenizer_config.json", config_json(config, tokenizer)});
  if (!training.sentencepiece_model.empty())
    files.push_back({"tokenizer.model", training.sentencepiece_model});
  if (config.model == "wordpiece") files.push_back({"vocab.txt", vocabulary_lines(tokenizer)});
  write_tokenizer_folder(config.out, files, std::move(manifest));
}

}  // namespace lathe
