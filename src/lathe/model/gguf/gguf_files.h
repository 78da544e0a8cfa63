// The files of a Hugging Face folder that say what the tokenizer keys of a GGUF file say.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace lathe {

// tokenizer.json, tokenizer_config.json and, if there is a chat template, chat_template.jinja, by
// name; none for a file without a tokenizer. Throws as GgufReader and gguf_tokenizer().
std::map<std::string, std::string> tokenizer_files_of_gguf(const std::filesystem::path& path);

}  // namespace lathe
