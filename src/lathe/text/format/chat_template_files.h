// Where a tokenizer's chat templates and its special tokens stand. Internal to text/.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace lathe {

struct ChatTemplateFiles {
  std::vector<std::pair<std::string, std::string>> templates;  // name, text; one alone is "default"
  nlohmann::ordered_json special_tokens;                       // {"bos_token": "<s>", …}
};

// At the place of a tokenizer (chat_template.h says where). Nothing there is no error; a damaged
// file is, as its reader says.
ChatTemplateFiles read_chat_template_files(const std::string& tokenizer_path);

}  // namespace lathe
