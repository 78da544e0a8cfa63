#include "lathe/text/format/gguf_vocabulary.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/text/probing_table.h"
#include "lathe/text/vocabulary.h"

namespace lathe {
namespace {

constexpr const char *kModel = "tokenizer.ggml.model", *kPre = "tokenizer.ggml.pre",
                     *kTokens = "tokenizer.ggml.tokens", *kScores = "tokenizer.ggml.scores",
                     *kTypes = "tokenizer.ggml.token_type", *kMerges = "tokenizer.ggml.merges",
                     *kCharsmap = "tokenizer.ggml.precompiled_charsmap",
                     *kTemplate = "tokenizer.chat_template";

// Calls f(key, member) for the ids. "seperator" is the key's spelling.
template <class Vocabulary, class F>
void for_each_id(Vocabulary& v, F&& f) {
  f("tokenizer.ggml.bos_token_id", v.bos);
  f("tokenizer.ggml.eos_token_id", v.eos);
  f("tokenizer.ggml.eot_token_id", v.eot);
  f("tokenizer.ggml.eom_token_id", v.eom);
  f("tokenizer.ggml.unknown_token_id", v.unknown);
  f("tokenizer.ggml.seperator_token_id", v.separator);
  f("tokenizer.ggml.padding_token_id", v.padding);
  f("tokenizer.ggml.cls_token_id", v.cls);
  f("tokenizer.ggml.mask_token_id", v.mask);
}

template <class Vocabulary, class F>
void for_each_flag(Vocabulary& v, F&& f) {
  f("tokenizer.ggml.add_bos_token", v.add_bos);
  f("tokenizer.ggml.add_eos_token", v.add_eos);
  f("tokenizer.ggml.add_sep_token", v.add_sep);
  f("tokenizer.ggml.add_space_prefix", v.add_space_prefix);
  f("tokenizer.ggml.remove_extra_whitespaces", v.remove_extra_whitespaces);
  f("tokenizer.ggml.normalizer.lowercase", v.lowercase);
  f("tokenizer.ggml.normalizer.strip_accents", v.strip_accents);
}

template <class... Args>
void check(bool condition, std::string_view where, const char* key,
           fmt::format_string<Args...> format, Args&&... args) {
  if (!condition)
    fail(ErrorKind::kFormat, where, "key '{}': {}", key,
         fmt::format(format, std::forward<Args>(args)...));
}

struct IdSlot {
  int32_t id = -1;
  bool free() const { return id < 0; }
};

void check_tokens(const GgufVocabulary& v, std::string_view where) {
  const size_t n = v.tokens.size();
  check(n <= size_t{Vocabulary::kMaxId} + 1, where, kTokens, "got {} tokens, expected at most {}",
        n, Vocabulary::kMaxId + 1);
  ProbingTable<IdSlot> ids(std::bit_ceil(2 * n + 2));
  for (size_t id = 0; id < n; ++id) {
    const std::string& token = v.tokens[id];
    check(is_valid_utf8(token), where, kTokens, "token {} is not UTF-8", id);
    IdSlot& slot = ids.find(hash_bytes(token), [&](const IdSlot& s) {
      return v.tokens[static_cast<size_t>(s.id)] == token;
    });
    check(slot.free(), where, kTokens, "tokens {} and {} are both '{}'", slot.id, id, token);
    slot.id = static_cast<int32_t>(id);
  }
}

void check_lists(const GgufVocabulary& v, std::string_view where) {
  const size_t n = v.tokens.size();
  check(v.scores.empty() || v.scores.size() == n, where, kScores,
        "got {} scores for {} tokens, expected one each", v.scores.size(), n);
  for (size_t id = 0; id < v.scores.size(); ++id)
    check(std::isfinite(v.scores[id]), where, kScores, "the score of token {} is {}", id,
          v.scores[id]);
  check(v.types.empty() || v.types.size() == n, where, kTypes,
        "got {} types for {} tokens, expected one each", v.types.size(), n);
  for (size_t id = 0; id < v.types.size(); ++id) {
    const auto type = static_cast<int32_t>(v.types[id]);
    check(type >= 0 && type <= static_cast<int32_t>(GgufTokenType::kByte), where, kTypes,
          "the type of token {} is {}, expected 0 to 6", id, type);
  }
  for (size_t rank = 0; rank < v.merges.size(); ++rank)
    check(is_valid_utf8(v.merges[rank]) && v.merges[rank].find(' ', 1) != std::string::npos, where,
          kMerges, "merge {} is not two tokens of UTF-8 with a space between", rank);
  for_each_id(v, [&](const char* key, const std::optional<int32_t>& id) {
    check(!id || (*id >= 0 && static_cast<size_t>(*id) < n), where, key,
          "got {}, expected the id of one of {} tokens", id.value_or(-1), n);
  });
}

struct CustomaryIds {
  std::string_view model;
  std::optional<int32_t> bos, eos, unknown, separator, padding, mask;
};
constexpr std::optional<int32_t> kNone;
constexpr CustomaryIds kCustomaryIds[] = {{"llama", 1, 2, 0, kNone, kNone, kNone},
                                          {"bert", 101, kNone, 100, 102, 0, 103},
                                          {"t5", kNone, 1, 2, kNone, 0, kNone}};

void fill_customary_ids(GgufVocabulary& v) {
  const auto* ids = std::ranges::find(kCustomaryIds, v.model, &CustomaryIds::model);
  if (ids == std::end(kCustomaryIds)) return;
  const auto fill = [&](std::optional<int32_t>& id, std::optional<int32_t> customary) {
    if (!id && customary && static_cast<size_t>(*customary) < v.tokens.size()) id = customary;
  };
  fill(v.bos, ids->bos);
  fill(v.eos, ids->eos);
  fill(v.unknown, ids->unknown);
  fill(v.separator, ids->separator);
  fill(v.padding, ids->padding);
  fill(v.mask, ids->mask);
}

std::vector<std::string> texts(const GgufMetadata& metadata, const char* key) {
  std::vector<std::string> out;
  const auto views = metadata.get<std::vector<std::string_view>>(key);
  if (views) out.assign(views->begin(), views->end());
  return out;
}

std::string text(const GgufMetadata& metadata, const char* key) {
  return std::string(metadata.get<std::string_view>(key).value_or(""));
}

// Needed by every model but those that have no tokens at all.
std::vector<std::string> read_tokens(const GgufMetadata& metadata, const std::string& model) {
  if (model != "none" && model != "no_vocab") metadata.need<std::vector<std::string_view>>(kTokens);
  std::vector<std::string> tokens = texts(metadata, kTokens);
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].empty()) tokens[id] = fmt::format("[EMPTY_{}]", id);
  return tokens;
}

constexpr std::string_view kControlTexts[] = {"<|eot_id|>",
                                              "<|im_end|>",
                                              "<|end|>",
                                              "<|return|>",
                                              "<|call|>",
                                              "<|flush|>",
                                              "<|calls|>",
                                              "<end_of_turn>",
                                              "<|endoftext|>",
                                              "</s>",
                                              "<|eom_id|>",
                                              "<EOT>",
                                              "_<EOT>",
                                              "[EOT]",
                                              "[EOS]",
                                              "<|end_of_text|>",
                                              "<end_of_utterance>",
                                              "<eos>",
                                              "<turn|>",
                                              "<|tool_response>",
                                              "<｜end▁of▁sentence｜>",
                                              "[e~[",
                                              "<|channel|>",
                                              "<|message|>",
                                              "<|start|>",
                                              "<|constrain|>",
                                              "<|fim_prefix|>",
                                              "<fim-prefix>",
                                              "<fim_prefix>",
                                              "<｜fim▁begin｜>",
                                              "<PRE>",
                                              "▁<PRE>",
                                              "<|code_prefix|>",
                                              "<|prefix|>",
                                              "<|fim_suffix|>",
                                              "<fim-suffix>",
                                              "<fim_suffix>",
                                              "<｜fim▁hole｜>",
                                              "<SUF>",
                                              "▁<SUF>",
                                              "<|code_suffix|>",
                                              "<|suffix|>",
                                              "<|fim_middle|>",
                                              "<fim-middle>",
                                              "<fim_middle>",
                                              "<｜fim▁end｜>",
                                              "<MID>",
                                              "▁<MID>",
                                              "<|code_middle|>",
                                              "<|middle|>",
                                              "<|fim_pad|>",
                                              "<fim-pad>",
                                              "<fim_pad>",
                                              "<PAD>",
                                              "[PAD]",
                                              "<|fim_repo|>",
                                              "<|repo_name|>",
                                              "<fim-repo>",
                                              "<REPO>",
                                              "<reponame>",
                                              "<|file_sep|>"};

}  // namespace

bool looks_like_gguf_control(std::string_view token) {
  return std::ranges::find(kControlTexts, token) != std::end(kControlTexts);
}

bool is_gguf_added(const GgufVocabulary& vocabulary, size_t id) {
  switch (vocabulary.type(id)) {
    case GgufTokenType::kUnknown:
    case GgufTokenType::kControl:
    case GgufTokenType::kUserDefined:
      return true;
    default:
      return looks_like_gguf_control(vocabulary.tokens[id]);
  }
}

GgufVocabulary read_gguf_vocabulary(const GgufMetadata& metadata) {
  GgufVocabulary v;
  v.model = metadata.need<std::string_view>(kModel);
  v.pre = text(metadata, kPre);
  v.tokens = read_tokens(metadata, v.model);
  v.scores = metadata.get<std::vector<float>>(kScores).value_or(std::vector<float>());
  const auto types = metadata.get<std::vector<int32_t>>(kTypes).value_or(std::vector<int32_t>());
  for (const int32_t type : types) v.types.push_back(static_cast<GgufTokenType>(type));
  v.merges = texts(metadata, kMerges);
  for_each_id(v, [&](const char* key, auto& id) { id = metadata.get<int32_t>(key); });
  for_each_flag(v, [&](const char* key, auto& flag) { flag = metadata.get<bool>(key); });
  const auto charsmap = metadata.get<std::span<const std::byte>>(kCharsmap);
  if (charsmap)
    v.precompiled_charsmap.assign(reinterpret_cast<const char*>(charsmap->data()),
                                  charsmap->size());
  v.chat_template = text(metadata, kTemplate);
  check_tokens(v, metadata.where());
  check_lists(v, metadata.where());
  fill_customary_ids(v);
  return v;
}

void write_gguf_vocabulary(const GgufVocabulary& v, GgufWriter& writer) {
  check_tokens(v, writer.path().string());
  check_lists(v, writer.path().string());
  writer.add_text(kModel, v.model);
  if (!v.pre.empty()) writer.add_text(kPre, v.pre);
  writer.add_texts(kTokens, v.tokens);
  if (!v.scores.empty()) writer.add_list<float>(kScores, v.scores);
  std::vector<int32_t> types;
  for (const GgufTokenType type : v.types) types.push_back(static_cast<int32_t>(type));
  if (!types.empty()) writer.add_list<int32_t>(kTypes, types);
  if (!v.merges.empty()) writer.add_texts(kMerges, v.merges);
  for_each_id(v, [&](const char* key, const std::optional<int32_t>& id) {
    if (id) writer.add<uint32_t>(key, static_cast<uint32_t>(*id));
  });
  for_each_flag(v, [&](const char* key, const std::optional<bool>& flag) {
    if (flag) writer.add<bool>(key, *flag);
  });
  const auto* charsmap = reinterpret_cast<const uint8_t*>(v.precompiled_charsmap.data());
  if (!v.precompiled_charsmap.empty())
    writer.add_list<uint8_t>(kCharsmap, {charsmap, v.precompiled_charsmap.size()});
  if (!v.chat_template.empty()) writer.add_text(kTemplate, v.chat_template);
}

}  // namespace lathe
