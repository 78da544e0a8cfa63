// `lathe tokenizer`: one file per child command.
#pragma once

#include <optional>
#include <string>

#include "lathe/cli/frame/command.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

Command tokenizer_train_command();
Command tokenizer_encode_command();
Command tokenizer_decode_command();
Command tokenizer_inspect_command();
Command tokenizer_compare_command();

// What every command says of its argument TOKENIZER.
inline constexpr const char* kTokenizerHelp =
    "a folder, tokenizer.json, .model, .tiktoken, vocab.txt or .gguf; known by its content";

inline constexpr size_t kIdsAtOnce = 1 << 16;  // between two looks at Ctrl-C

// The option --pattern, for commands that read a tokenizer.
void visit_pattern(Visitor& v, std::optional<std::string>& pattern);
// The tokenizer at `path`; `pattern` as given on the command line.
Tokenizer load_tokenizer_of(const std::string& path, const std::optional<std::string>& pattern);

}  // namespace lathe
