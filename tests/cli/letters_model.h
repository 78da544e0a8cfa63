// A tiny model whose tokens are the letters a to v, a blank, ":", "?" and the end of a line.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "lathe/io/json_file.h"
#include "paths.h"

namespace lathe::testing {

inline void make_letters_model(const std::filesystem::path& folder) {
  std::filesystem::copy(tests_folder() / "model" / "goldens" / "llama" / "model", folder);
  nlohmann::ordered_json vocab = nlohmann::ordered_json::object();
  int32_t id = 0;
  for (char c = 'a'; c <= 'v'; ++c) vocab[std::string(1, c)] = id++;
  for (const char* c : {" ", ":", "?", "\n"}) vocab[c] = id++;
  nlohmann::ordered_json added = nlohmann::ordered_json::array();
  for (const auto& [token, content] : {std::pair{26, "<s>"}, {27, "</s>"}})
    added.push_back({{"id", token},
                     {"content", content},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const nlohmann::ordered_json tokenizer = {
      {"pre_tokenizer", nullptr},
      {"decoder", {{"type", "Fuse"}}},
      {"model", {{"type", "BPE"}, {"merges", nlohmann::ordered_json::array()}, {"vocab", vocab}}},
      {"added_tokens", added}};
  write_json_file(folder / "tokenizer.json", tokenizer);
  write_json_file(folder / "tokenizer_config.json", {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
}

}  // namespace lathe::testing
