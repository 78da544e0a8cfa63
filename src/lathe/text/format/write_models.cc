// The value of `model` in a tokenizer.json, for each kind of model.
#include <algorithm>
#include <map>

#include "lathe/text/format/model_kinds.h"
#include "lathe/text/model/byte_bpe.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/model/unigram_model.h"
#include "lathe/text/model/word_level.h"
#include "lathe/text/model/word_piece.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {
namespace {

using text_json::Json;

std::string json_string(std::string_view text) { return Json(text).dump(); }

// A text, or null where it is empty.
std::string json_or_null(std::string_view text) {
  return text.empty() ? "null" : json_string(text);
}

std::string unknown_of(const TokenizerData& data) {
  const int32_t id = data.model->unknown_id();
  return id < 0 ? "null" : json_string(spelling_of(data.vocabulary(), id, data.spelling()));
}

// Added tokens without a place in the vocabulary are numbered behind it by whoever reads the file,
// whatever ids stand there. Where that would give other ids, they are listed in the vocabulary,
// too.
std::map<int32_t, std::string> listed_in_vocabulary(const TokenizerData& data) {
  const Vocabulary& vocabulary = data.vocabulary();
  std::map<int32_t, std::string> own;
  for (const AddedToken& t : data.added)
    if (!vocabulary.has(t.id)) own[t.id] = t.content;
  int32_t next = vocabulary.count();
  const bool follow =
      std::all_of(own.begin(), own.end(), [&](const auto& token) { return token.first == next++; });
  return follow ? std::map<int32_t, std::string>() : own;
}

// "    \"vocab\": {…}" with a line for each token, in the order of ids.
std::string vocabulary_lines(const TokenizerData& data) {
  const Vocabulary& vocabulary = data.vocabulary();
  std::string out = "    \"vocab\": {";
  const char* separator = "\n";
  const auto listed = listed_in_vocabulary(data);
  for (int32_t id = 0; id < data.vocab_size; ++id) {
    const auto added = listed.find(id);
    if (!vocabulary.has(id) && added == listed.end()) continue;
    const std::string text =
        added == listed.end() ? spelling_of(vocabulary, id, data.spelling()) : added->second;
    out += fmt::format("{}      {}: {}", separator, json_string(text), id);
    separator = ",\n";
  }
  return out + "\n    }";
}

// Merges as one string where the sides have no space, else all of them as pairs.
std::string merge_lines(const TokenizerData& data, const std::vector<Merge>& merges) {
  const auto side = [&](int32_t id) { return spelling_of(data.vocabulary(), id, data.spelling()); };
  const bool pairs = std::ranges::any_of(merges, [&](const Merge& m) {
    return side(m.left).find(' ') != std::string::npos ||
           side(m.right).find(' ') != std::string::npos;
  });
  std::string out = "    \"merges\": [";
  const char* separator = "\n";
  for (const Merge& m : merges) {
    const std::string left = side(m.left), right = side(m.right);
    out += separator;
    out += pairs ? fmt::format("      [{}, {}]", json_string(left), json_string(right))
                 : fmt::format("      {}", json_string(left + " " + right));
    separator = ",\n";
  }
  return out + "\n    ]";
}

struct BpeFields {
  std::string prefix, word_end;
  bool fuse_unknown, byte_fallback, ignore_merges;
};

std::string bpe_text(const TokenizerData& data, const std::vector<Merge>& merges,
                     const BpeFields& f) {
  std::string out = "{\n    \"type\": \"BPE\",\n    \"dropout\": null,\n";
  out += fmt::format("    \"unk_token\": {},\n", unknown_of(data));
  out += fmt::format("    \"continuing_subword_prefix\": {},\n", json_or_null(f.prefix));
  out += fmt::format("    \"end_of_word_suffix\": {},\n", json_or_null(f.word_end));
  out +=
      fmt::format("    \"fuse_unk\": {},\n    \"byte_fallback\": {},\n    \"ignore_merges\": {},\n",
                  f.fuse_unknown, f.byte_fallback, f.ignore_merges);
  return out + vocabulary_lines(data) + ",\n" + merge_lines(data, merges) + "\n  }";
}

}  // namespace

std::string write_bpe(const TokenizerData& data) {
  if (const auto* bytes = dynamic_cast<const ByteBpe*>(data.model.get())) {
    const ByteBpeOptions& o = bytes->options();
    return bpe_text(data, bytes->merges(), {"", "", o.fuse_unknown, false, o.ignore_merges});
  }
  const auto& model = dynamic_cast<const CharBpe&>(*data.model);
  const CharBpeOptions& o = model.options();
  return bpe_text(
      data, model.merges(),
      {o.continuing_prefix, o.word_end, o.fuse_unknown, o.byte_fallback, o.ignore_merges});
}

std::string write_unigram(const TokenizerData& data) {
  const auto& model = dynamic_cast<const UnigramModel&>(*data.model);
  std::string out = "{\n    \"type\": \"Unigram\",\n";
  out += fmt::format("    \"unk_id\": {},\n",
                     model.unknown_id() < 0 ? "null" : std::to_string(model.unknown_id()));
  out += "    \"vocab\": [";
  const char* separator = "\n";
  for (int32_t id = 0; id < model.vocabulary().size(); ++id) {
    out += fmt::format("{}      [{}, {}]", separator, json_string(model.vocabulary().bytes(id)),
                       model.pieces()[static_cast<size_t>(id)].score);
    separator = ",\n";
  }
  return out +
         fmt::format("\n    ],\n    \"byte_fallback\": {}\n  }}", model.options().byte_fallback);
}

std::string write_word_piece(const TokenizerData& data) {
  const WordPieceOptions& o = dynamic_cast<const WordPiece&>(*data.model).options();
  std::string out = "{\n    \"type\": \"WordPiece\",\n";
  out += fmt::format("    \"unk_token\": {},\n", unknown_of(data));
  out += fmt::format("    \"continuing_subword_prefix\": {},\n", json_string(o.continuing_prefix));
  out += fmt::format("    \"max_input_chars_per_word\": {},\n", o.longest_word);
  return out + vocabulary_lines(data) + "\n  }";
}

std::string write_word_level(const TokenizerData& data) {
  std::string out = "{\n    \"type\": \"WordLevel\",\n";
  out += vocabulary_lines(data);
  return out + fmt::format(",\n    \"unk_token\": {}\n  }}", unknown_of(data));
}

}  // namespace lathe
