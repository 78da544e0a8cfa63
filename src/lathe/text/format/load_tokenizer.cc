// Which kind of tokenizer a file holds is seen in its content, because names do not say it: the
// ranks of Llama 3 lie in a tokenizer.model, as the SentencePiece models of Llama 2 do.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kWhere = "tokenizer";

bool is_json(std::string_view content) {
  const size_t first = content.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && content[first] == '{';
}

// What a file is that is neither, as far as its first bytes say.
std::string_view other_kind(std::string_view content) {
  if (content.empty()) return "an empty file";
  if (content.starts_with("GGUF")) return "a GGUF file";
  if (content.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS, whose content was not downloaded (git lfs pull)";
  if (content.starts_with("\n")) return "perhaps a SentencePiece model";
  if (content.starts_with("#version")) return "a list of merges (merges.txt)";
  return "a file of an unknown kind";
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Of a folder without a tokenizer.json: its one file of ranks.
std::string rank_file_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    const bool named = path.extension() == ".tiktoken" || path.extension() == ".model";
    if (named && it->is_regular_file(error) &&
        Tokenizer::has_tiktoken_ranks(text_of(MappedFile(path))))
      found.push_back(path.string());
  }
  std::ranges::sort(found);
  require(
      !found.empty(), ErrorKind::kIo, kWhere,
      "the folder {} has no tokenizer.json and no file of tiktoken ranks; give a folder that has "
      "one of them, or the file itself",
      folder);
  require(found.size() == 1, ErrorKind::kIo, kWhere,
          "the folder {} has several files of ranks; give one of them: {}", folder,
          join(found, ", "));
  return found[0];
}

}  // namespace

Tokenizer load_tokenizer(const std::string& path, std::optional<Pattern> pattern) {
  std::error_code ignored;  // a path that cannot be looked at is reported when it is opened
  std::string file = path;
  if (fs::is_directory(path, ignored)) {
    file = (fs::path(path) / "tokenizer.json").string();
    if (!fs::exists(file, ignored)) file = rank_file_in(path);
  }
  const MappedFile mapped(file);
  const std::string_view source = text_of(mapped);
  if (!is_json(source)) {
    // A name that promises ranks gets the error that names the damaged line.
    require(Tokenizer::has_tiktoken_ranks(source) || fs::path(file).extension() == ".tiktoken",
            ErrorKind::kFormat, kWhere,
            "{} is {}, expected a tokenizer.json (byte-level BPE) or lines of tiktoken's 'base64 "
            "rank'; give one of these",
            file, other_kind(source));
    return Tokenizer::from_tiktoken(source, file, pattern.value_or(Pattern::kCl100k));
  }
  require(
      !pattern, ErrorKind::kUsage, kWhere,
      "{} itself says how to split text; a pattern can only be given for files of tiktoken ranks",
      file);
  return Tokenizer::from_json(source, file);
}

}  // namespace lathe
