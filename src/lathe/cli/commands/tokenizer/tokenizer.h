// `lathe tokenizer`: one file per child command.
#pragma once

#include <optional>
#include <string>

#include "lathe/cli/commands/data/corpus_input.h"
#include "lathe/cli/frame/command.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

Command tokenizer_train_command();
Command tokenizer_encode_command();
Command tokenizer_decode_command();
Command tokenizer_inspect_command();
Command tokenizer_convert_command();
Command tokenizer_extend_command();
Command tokenizer_prune_command();
Command tokenizer_compare_command();
Command tokenizer_template_command();

// What every command says of its argument TOKENIZER.
inline constexpr const char* kTokenizerHelp =
    "a folder, tokenizer.json, .model, .tiktoken, vocab.txt or .gguf; known by its content";

inline constexpr size_t kIdsAtOnce = 1 << 16;  // between two looks at Ctrl-C

// The option --pattern, for commands that read a tokenizer.
void visit_pattern(Visitor& v, std::optional<std::string>& pattern);
// The tokenizer at `path`; `pattern` as given on the command line.
Tokenizer load_tokenizer_of(const std::string& path, const std::optional<std::string>& pattern);
// The tokenizer_config.json for a tokenizer made from the one at `path`: what stands beside that, with
// the tokens of the new one and, if given, another chat template.
std::string changed_config(const std::string& path, const Tokenizer& tokenizer,
                           const std::optional<std::string>& chat_template = std::nullopt);
// Throws kUsage, saying what for, unless all are files, which can be read twice.
void require_read_twice(const CorpusInput& input, std::string_view what_for);

}  // namespace lathe
