// Byte-pair encoding on characters as SentencePiece's rule reads: the executable specification.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/model/char_bpe.h"
#include "lathe/text/split/pretokenizer.h"

namespace lathe::testing {

inline std::vector<std::string> characters_of(std::string_view text) {
  std::vector<std::string> out;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  for (; p < end; p += decode_utf8(p, end).size)
    out.emplace_back(reinterpret_cast<const char*>(p), decode_utf8(p, end).size);
  return out;
}

inline Vocabulary vocabulary_of(const std::vector<std::string>& pieces) {
  std::vector<VocabularyEntry> entries;
  for (const std::string& piece : pieces)
    entries.push_back({static_cast<int32_t>(entries.size()), piece, false});
  return Vocabulary(entries, "test");
}

inline std::vector<int32_t> encode_alone(const CharBpe& model, std::string_view text) {
  const PreTokenizer none;
  std::vector<int32_t> ids;
  model.encoder(none)->encode(text, 0, {}, ids);
  return ids;
}

struct Scored {
  std::vector<std::string> pieces;
  std::vector<float> scores;
  std::vector<PieceRole> roles;
};

// SentencePiece's rule as it reads: of all neighbours that are a piece together, those with the
// highest score, the leftmost first.
inline std::vector<int32_t> reference_char_bpe(const Scored& model, std::string_view text,
                                               int32_t unknown) {
  std::map<std::string, int32_t> ids;
  for (size_t id = 0; id < model.pieces.size(); ++id)
    if (model.roles[id] != PieceRole::kNone) ids[model.pieces[id]] = static_cast<int32_t>(id);
  std::vector<std::string> symbols = characters_of(text);
  for (;;) {
    size_t at = symbols.size();
    float best = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ids.find(symbols[i] + symbols[i + 1]);
      if (found == ids.end()) continue;
      const float score = model.scores[static_cast<size_t>(found->second)];
      if (at < symbols.size() && score <= best) continue;
      at = i;
      best = score;
    }
    if (at == symbols.size()) break;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
  std::vector<int32_t> out;
  for (const std::string& symbol : symbols) {
    const auto found = ids.find(symbol);
    const int32_t id = found == ids.end() ? unknown : found->second;
    if (id != unknown || out.empty() || out.back() != unknown) out.push_back(id);
  }
  return out;
}

}  // namespace lathe::testing
