#include <filesystem>

#include "lathe/base/error.h"
#include "lathe/text/source_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {

Tokenizer load_tokenizer(const std::string& path, std::optional<Pattern> pattern) {
  namespace fs = std::filesystem;
  std::error_code ignored;  // a path that cannot be looked at is reported when it is opened
  std::string file = path;
  if (fs::is_directory(path, ignored)) {
    file = (fs::path(path) / "tokenizer.json").string();
    require(
        fs::exists(file, ignored), ErrorKind::kIo, "tokenizer",
        "the folder {} has no tokenizer.json; give a folder that has one, a tokenizer.json or a "
        ".tiktoken file",
        path);
  }
  const SourceFile source(file);
  if (fs::path(file).extension() == ".tiktoken")
    return Tokenizer::from_tiktoken(source.text(), file, pattern.value_or(Pattern::kCl100k));
  require(!pattern, ErrorKind::kUsage, "tokenizer",
          "{} says itself how it cuts text; a pattern can only be given for .tiktoken files", file);
  return Tokenizer::from_json(source.text(), file);
}

}  // namespace lathe
