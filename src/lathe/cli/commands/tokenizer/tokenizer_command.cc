#include "lathe/base/catalogue.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/commands/tokenizer/tokenizer.h"

namespace lathe {

void visit_pattern(Visitor& v, std::optional<std::string>& pattern) {
  v.choice("pattern", pattern, names_of(kPreTokenizers),
           "how to split text for a .tiktoken file (default: cl100k)");
}

Tokenizer load_tokenizer_of(const std::string& path, const std::optional<std::string>& pattern) {
  return load_tokenizer(path, pattern ? find_pattern(*pattern) : std::nullopt);
}

Command tokenizer_command() {
  return command_group(
      {.name = "tokenizer", .summary = "train and compare tokenizers, turn text into ids and back"},
      {tokenizer_train_command(), tokenizer_encode_command(), tokenizer_decode_command(),
       tokenizer_inspect_command(), tokenizer_compare_command()});
}

}  // namespace lathe
