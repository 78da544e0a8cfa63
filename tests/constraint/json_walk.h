// A vocabulary of pieces of JSON, and answers that are written at random within a mask.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "constraint/matching.h"

namespace lathe::testing {

// Every byte, pieces of JSON, and pieces of the words that the generator uses.
inline std::shared_ptr<const TokenVocabulary> json_vocabulary() {
  std::vector<std::string> more = {
      "{\"",   "\": ",     "\":",        "\", \"",   "\",\"",        "\"}",    "}]",
      "]}",    "[\"",      "\"]",        ", ",       ",\n",          "\n  ",   "  ",
      "    ",  "true",     "false",      "null",     "e-0",          "12",     "345",
      "0.5",   "-1",       ".25",        "\\n",      "\\\"",         "\\u00",  "00e9",
      "\\ud8", "3d\\u",    "red",        "gr\xC3",   "\xBCn\"",      "abc",    "a\": ",
      "ab\":", "circle",   "kind\": \"", "2024-",    "-02-",         "T00:00", "https://",
      "::",    "kids",     "\xF0\x9F",   "\x99\x82", "\xE5\x8C\x97", "[]",     "{}",
      "[[",    "{\"v\": ", "},{\"v\":"};
  return byte_vocabulary(std::move(more));
}

// Takes allowed tokens at random, after a while those that end something; nullopt if that does not end.
inline std::optional<std::string> random_walk(const Constraint& constraint,
                                              std::mt19937_64& random) {
  const TokenVocabulary& v = constraint.vocabulary();
  Matcher matcher = constraint.matcher();
  std::string text;
  for (int step = 0; step < 400; ++step) {
    const auto mask = matcher.mask();
    std::vector<int32_t> allowed, closing;
    for (int32_t id = 0; static_cast<size_t>(id) < v.size(); ++id) {
      if (!has_bit(*mask, id)) continue;
      allowed.push_back(id);
      if (v.is_end(id) || std::string_view("\"]}").find(v.bytes(id)) != std::string_view::npos)
        closing.push_back(id);
    }
    EXPECT_FALSE(allowed.empty()) << "nothing may follow: " << text;
    if (allowed.empty()) return std::nullopt;
    const std::vector<int32_t>& from = step > 40 && !closing.empty() ? closing : allowed;
    const int32_t id = from[random() % from.size()];
    EXPECT_TRUE(matcher.accept(id));
    if (matcher.finished()) return text;
    text += v.bytes(id);
  }
  return std::nullopt;
}

}  // namespace lathe::testing
