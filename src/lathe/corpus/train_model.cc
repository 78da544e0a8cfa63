#include "lathe/corpus/train_model.h"

#include <algorithm>
#include <array>
#include <set>

#include "lathe/base/error.h"
#include "lathe/text/format/part_json.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/normalize/sentencepiece_normalizer.h"
#include "lathe/text/split/digits.h"
#include "lathe/text/train/text_preparation.h"
#include "lathe/text/train/trained_tokenizer.h"

namespace lathe {
namespace {

using text_json::Json;
constexpr std::string_view kWhere = "command line";

constexpr std::array kModelTable = {
    TrainedModel{"bpe", "byte-pair encoding on characters, or on bytes with a pattern",
                 "Sennrich et al. 2016, arXiv:1508.07909", VocabularyKind::kBpe, "metaspace",
                 "none", "<unk>", 0.9995},
    TrainedModel{"unigram", "Unigram language model", "Kudo 2018, arXiv:1804.10959",
                 VocabularyKind::kUnigram, "metaspace", "nmt_nfkc", "<unk>", 0.9995},
    TrainedModel{"wordpiece", "WordPiece, as BERT has it", "Wu et al. 2016, arXiv:1609.08144",
                 VocabularyKind::kWordPiece, "bert", "bert_uncased", "[UNK]", 1},
    TrainedModel{"char", "a token for each character", "", VocabularyKind::kCharacter, "none",
                 "none", "<unk>", 1},
    TrainedModel{"byte", "a token for each byte; nothing is learned", "", VocabularyKind::kByte,
                 "none", "none", "", 1},
};

constexpr std::string_view kOnBytes = "BPE on bytes";

// Options that mean nothing to some models, each with those that take it.
struct ModelOption {
  std::string_view name;
  bool (*given)(const TokenizerTrainConfig&);  // and not as it is without being given
  std::string_view models;                     // by name, with spaces around them
};

constexpr std::array kModelOptions = {
    ModelOption{"--pattern",
                [](const auto& c) { return c.pattern != TokenizerTrainConfig().pattern; },
                " BPE on bytes "},
    ModelOption{"--pre", [](const auto& c) { return c.pre.has_value(); },
                " BPE on bytes bpe unigram wordpiece char "},
    ModelOption{"--normalizer",
                [](const auto& c) { return c.normalizer.value_or("none") != "none"; },
                " bpe unigram wordpiece char "},
    ModelOption{"--byte-fallback", [](const auto& c) { return c.byte_fallback; },
                " bpe unigram char "},
    ModelOption{"--digits", [](const auto& c) { return c.digits != "none"; },
                " bpe unigram wordpiece "},
    ModelOption{"--character-coverage",
                [](const auto& c) { return c.character_coverage.has_value(); },
                " bpe unigram wordpiece char "},
    ModelOption{"--sentencepiece", [](const auto& c) { return c.sentencepiece; }, " bpe unigram "},
    ModelOption{"--wordpiece-score", [](const auto& c) { return c.wordpiece_score != "frequency"; },
                " wordpiece "},
    ModelOption{"--user-symbol", [](const auto& c) { return !c.user_symbol.empty(); },
                " bpe unigram wordpiece char "},
    ModelOption{"--special-token", [](const auto& c) { return !c.special_token.empty(); },
                " BPE on bytes bpe unigram wordpiece char "},
    ModelOption{"--reserve", [](const auto& c) { return c.reserve != 0; },
                " BPE on bytes bpe unigram wordpiece char "},
    ModelOption{"--min-count", [](const auto& c) { return c.min_count != 1; },
                " BPE on bytes bpe wordpiece "},
};

void refuse_options_without_meaning(const TokenizerTrainConfig& config, std::string_view model) {
  for (const ModelOption& option : kModelOptions) {
    const bool taken = option.models.find(fmt::format(" {} ", model)) != std::string_view::npos;
    require(taken || !option.given(config), ErrorKind::kUsage, kWhere,
            "{} means nothing to {}; leave it out, or choose a model that takes it:{}", option.name,
            model == kOnBytes ? "BPE on bytes, which is trained without --model"
                              : fmt::format("--model {}", model),
            option.models);
  }
}

std::vector<double> without_one(std::span<const double> weights) {
  std::set<double> distinct(weights.begin(), weights.end());
  distinct.erase(1.0);
  return {distinct.begin(), distinct.end()};
}

TokenizerTraining train_on_bytes(const TokenizerTrainConfig& config,
                                 std::span<const double> weights, const CorpusFeed& feed,
                                 const TrainProgress& progress) {
  refuse_options_without_meaning(config, kOnBytes);
  BpeTrainOptions options;
  options.vocab_size = config.vocab_size;
  options.pattern = *find_pattern(config.pre.value_or(config.pattern));
  options.special_tokens = config.special_tokens();
  options.min_count = config.min_count;
  options.memory_bytes = config.memory_mib << 20;
  options.weights = without_one(weights);
  return {train_bpe(feed, options, progress), "", {}};
}

// Of the policies in kDigitPolicies.
DigitGroups digit_groups(std::string_view policy) {
  if (policy == "none") return DigitGroups::kNone;
  if (policy == "single") return DigitGroups::kSingle;
  if (policy == "threes") return DigitGroups::kThrees;
  if (policy == "threes_from_right") return DigitGroups::kThreesRight;
  fail(ErrorKind::kUsage, kWhere, "--digits {} is not known to the trainers", policy);
}

VocabularyOptions vocabulary_options(const TokenizerTrainConfig& config, const TrainedModel& model,
                                     const SplitChoice& split, std::span<const double> weights) {
  VocabularyOptions o;
  o.kind = model.kind;
  o.vocab_size = model.kind == VocabularyKind::kByte ? 256 : config.vocab_size;
  o.special_tokens = config.special_tokens();
  if (config.sentencepiece)
    o.special_tokens.insert(o.special_tokens.begin(), {"<unk>", "<s>", "</s>"});
  o.user_symbols = config.user_symbol;
  o.unknown = model.unknown;
  o.byte_fallback = config.byte_fallback;
  o.character_coverage = config.character_coverage.value_or(model.coverage);
  o.min_count = config.min_count;
  o.parts.digits = digit_groups(config.digits);
  o.unit = split.unit;
  if (config.wordpiece_score == "likelihood") o.wordpiece_score = MergeScore::kLikelihood;
  o.weights = without_one(weights);
  o.memory_bytes = config.memory_mib << 20;
  return o;
}

// Numbers are cut first, then words.
Json with_digits(const std::string& policy, Json split) {
  const Json digits = find_in(kDigitPolicies, "digits", policy).make();
  if (digits.is_null()) return split;
  if (split.is_null()) return digits;
  // Metaspace marks the beginnings of words, so it must see them whole.
  Json steps =
      split["type"] == "Metaspace" ? Json::array({split, digits}) : Json::array({digits, split});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

// SentencePiece's own normaliser, and words between its marks.
TokenizerTraining train_sentencepiece(const VocabularyOptions& options,
                                      const std::string& normalizer, const CorpusFeed& feed,
                                      const TrainProgress& progress) {
  SentencePieceNormalization n;
  n.charsmap = charsmap_named(normalizer);
  const CharsMap charsmap = n.charsmap;
  TrainedVocabulary trained =
      train_vocabulary(feed, Normalizer::from_json(n.to_json(), kWhere),
                       PreTokenizer::from_json(metaspace_json("never"), kWhere), options, progress);
  SentencePieceFile file = trained_sentencepiece(trained, normalizer, charsmap);
  std::string bytes = write_sentencepiece(file);
  Tokenizer tokenizer = sentencepiece_tokenizer(std::move(file), "the trained model");
  return {{std::move(tokenizer), trained.stats}, std::move(bytes), {}};
}

}  // namespace

const std::span<const TrainedModel> kTrainedModels = kModelTable;

TokenizerTraining train_model(const TokenizerTrainConfig& config, std::span<const double> weights,
                              const CorpusFeed& feed, const TrainProgress& progress) {
  const bool pattern = config.pre && find_pattern(*config.pre);
  if (!config.model && (!config.pre || pattern))
    return train_on_bytes(config, weights, feed, progress);
  const TrainedModel& model = find_in(kTrainedModels, "model", config.model.value_or("bpe"));
  if (pattern && model.kind == VocabularyKind::kBpe)
    return train_on_bytes(config, weights, feed, progress);
  require(!pattern, ErrorKind::kUsage, kWhere,
          "--pre {} splits text for BPE on bytes; for --model {} give one of: {}", *config.pre,
          model.name, fmt::join(names_of(kSplitChoices), ", "));
  const std::string pre = config.pre.value_or(std::string(model.pre));
  refuse_options_without_meaning(config, model.name);
  require(!config.sentencepiece || pre == "metaspace", ErrorKind::kUsage, kWhere,
          "--sentencepiece goes with --pre metaspace, not with --pre {}", pre);
  const SplitChoice& split = find_in(kSplitChoices, "pre", pre);
  const VocabularyOptions options = vocabulary_options(config, model, split, weights);
  const std::string normalizer = config.normalizer.value_or(std::string(model.normalizer));
  if (config.sentencepiece) return train_sentencepiece(options, normalizer, feed, progress);
  TokenizerParts parts{.normalizer = normalizer_named(normalizer),
                       .pre_tokenizer = with_digits(config.digits, split.make()),
                       .decoder = split.decoder(config.byte_fallback)};
  if (model.kind == VocabularyKind::kWordPiece)
    parts.decoder = {{"type", "WordPiece"}, {"prefix", kContinuingPrefix}, {"cleanup", true}};
  TrainedVocabulary trained =
      train_vocabulary(feed, Normalizer::from_json(parts.normalizer, kWhere),
                       PreTokenizer::from_json(parts.pre_tokenizer, kWhere), options, progress);
  const TrainStats stats = trained.stats;
  return {{trained_tokenizer(std::move(trained), std::move(parts)), stats}, "", {}};
}

}  // namespace lathe
