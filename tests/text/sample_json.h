// A small tokenizer.json: ids 0 to 255 are the bytes, then the tokens of a few merges.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lathe/text/byte_alphabet.h"

namespace lathe::testing {

inline constexpr const char* kSampleMerges[][2] = {{"t", "h"},   {"th", "e"}, {"Ġ", "the"},
                                                   {"a", "t"},   {"Ġ", "c"},  {"a", "b"},
                                                   {"ab", "ab"}, {"Ġ", "Ġ"}};
inline constexpr int32_t kSampleSize = 256 + 8;

struct SampleJson {
  std::string added = "[]";
  std::string normalizer = "null";
  std::string pre_tokenizer =
      R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";
  std::string post_processor = "null";
  std::string decoder = R"({"type": "ByteLevel"})";
  bool merges_as_pairs = false;
};

inline std::string sample_json(const SampleJson& s) {
  nlohmann::json vocab, merges = nlohmann::json::array();
  for (int b = 0; b < 256; ++b) vocab[to_byte_alphabet(std::string(1, static_cast<char>(b)))] = b;
  for (const auto& [left, right] : kSampleMerges) {
    vocab[std::string(left) + right] = static_cast<int>(vocab.size());
    if (s.merges_as_pairs) {
      merges.push_back({left, right});
    } else {
      merges.push_back(std::string(left) + " " + right);
    }
  }
  return fmt::format(
      R"({{"version": "1.0", "added_tokens": {}, "normalizer": {}, "pre_tokenizer": {},
"post_processor": {}, "decoder": {}, "model": {{"type": "BPE", "vocab": {}, "merges": {}}}}})",
      s.added, s.normalizer, s.pre_tokenizer, s.post_processor, s.decoder, vocab.dump(),
      merges.dump());
}

}  // namespace lathe::testing
