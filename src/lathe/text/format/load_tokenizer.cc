// Which kind of tokenizer a file holds is seen in its content, because names do not say it: the
// ranks of Llama 3 lie in a tokenizer.model, as the SentencePiece models of Llama 2 do.
#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/gguf.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/format/added_tokens_json.h"
#include "lathe/text/format/bert_vocabulary.h"
#include "lathe/text/format/gguf_reader.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/format/tiktoken.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kWhere = "tokenizer";

struct Source {
  const MappedFile& file;
  std::string_view text;
  std::optional<Pattern> pattern;
  bool of_folder = false;  // a folder was given, and this file found in it
  std::string name() const { return file.path().string(); }
};

struct FileKind {
  std::string_view what;
  bool (*recognise)(const Source&);
  Tokenizer (*read)(const Source&);
  bool takes_pattern = false;
};

bool is_json(const Source& s) {
  const size_t first = s.text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && s.text[first] == '{';
}

// A name that promises ranks gets the error that names the damaged line.
bool is_tiktoken(const Source& s) {
  return Tokenizer::has_tiktoken_ranks(s.text) || s.file.path().extension() == ".tiktoken";
}

using ReadTokens = std::vector<AddedToken> (*)(const text_json::Json&, std::string_view origin);

// Those in a file of JSON, if it is there.
std::vector<AddedToken> added_tokens_in(const std::string& path, ReadTokens read) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  const text_json::Json json = text_json::parse(read_file(path), path);
  if (!json.is_object())
    text_json::bad(path, "the document is a {}, expected an object", json.type_name());
  return read(json, path);
}

// What a model's folder adds to a tokenizer that is no tokenizer.json.
std::vector<AddedToken> added_tokens_of_folder(const Source& s) {
  if (!s.of_folder) return {};
  const fs::path config = s.file.path().parent_path() / "tokenizer_config.json";
  return added_tokens_in(config.string(), added_tokens_of_config);
}

// Those of the file beside a file of ranks, else of the folder.
std::vector<AddedToken> added_tokens_of_ranks(const Source& s) {
  auto added = added_tokens_in(s.name() + std::string(kAddedTokensEnding), listed_added_tokens);
  return added.empty() ? added_tokens_of_folder(s) : added;
}

constexpr std::array kFileKinds = {
    FileKind{"tokenizer.json", is_json,
             [](const Source& s) { return Tokenizer::from_json(s.text, s.name()); }},
    FileKind{"GGUF", [](const Source& s) { return is_gguf(s.file.bytes()); },
             [](const Source& s) {
               const GgufReader reader(s.file.path());
               return gguf_tokenizer(read_gguf_vocabulary(reader.metadata()), s.name());
             }},
    FileKind{"lines of tiktoken's 'base64 rank'", is_tiktoken,
             [](const Source& s) {
               return tiktoken_tokenizer(s.text, s.name(), s.pattern.value_or(Pattern::kCl100k),
                                         added_tokens_of_ranks(s));
             },
             true},
    FileKind{"SentencePiece's .model",
             [](const Source& s) { return begins_as_sentencepiece(s.text); },
             [](const Source& s) {
               return sentencepiece_tokenizer(read_sentencepiece(s.text, s.name()), s.name(),
                                              added_tokens_of_folder(s));
             }},
    FileKind{"BERT's vocab.txt", [](const Source& s) { return is_bert_vocabulary(s.text); },
             [](const Source& s) {
               return bert_tokenizer(s.text, s.name(), added_tokens_of_folder(s));
             }},
};

const FileKind* kind_of(const Source& source) {
  for (const FileKind& kind : kFileKinds)
    if (kind.recognise(source)) return &kind;
  return nullptr;
}

// What a file is that is none of them, as far as its first bytes say.
std::string_view other_kind(std::string_view content) {
  if (content.empty()) return "an empty file";
  if (content.starts_with("version https://git-lfs"))
    return "a pointer of Git LFS, whose content was not downloaded (git lfs pull)";
  if (content.starts_with("#version")) return "a list of merges (merges.txt)";
  return "a file of an unknown kind";
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// The names under which a folder may hold a tokenizer.
bool may_hold_tokenizer(const fs::path& path) {
  constexpr std::array kEnds = {".model", ".tiktoken", ".gguf"};
  return path.filename() == "vocab.txt" ||
         std::ranges::find(kEnds, path.extension()) != kEnds.end();
}

// Of a folder without a tokenizer.json: its files that hold a tokenizer, in order.
std::vector<std::string> tokenizer_files_in(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!may_hold_tokenizer(it->path()) || !it->is_regular_file(error)) continue;
    const MappedFile file(it->path());
    if (kind_of({file, text_of(file), {}}) != nullptr) found.push_back(it->path().string());
  }
  std::ranges::sort(found);
  return found;
}

std::string tokenizer_file_in(const std::string& folder) {
  const std::vector<std::string> found = tokenizer_files_in(folder);
  require(!found.empty(), ErrorKind::kIo, kWhere,
          "the folder {} has no tokenizer.json and no other file with a tokenizer (*.model, "
          "*.tiktoken, vocab.txt, *.gguf); give a folder that has one of them, or the file itself",
          folder);
  require(found.size() == 1, ErrorKind::kIo, kWhere,
          "the folder {} has several files with a tokenizer; give one of them: {}", folder,
          join(found, ", "));
  return found[0];
}

}  // namespace

bool has_tokenizer(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(fs::path(folder) / "tokenizer.json", ignored) ||
         tokenizer_files_in(folder).size() == 1;
}

Tokenizer load_tokenizer(const std::string& path, std::optional<Pattern> pattern) {
  std::error_code ignored;  // a path that cannot be looked at is reported when it is opened
  std::string name = path;
  const bool of_folder = fs::is_directory(path, ignored);
  if (of_folder) {
    name = (fs::path(path) / "tokenizer.json").string();
    if (!fs::exists(name, ignored)) name = tokenizer_file_in(path);
  }
  const MappedFile file(name);
  const Source source{file, text_of(file), pattern, of_folder};
  const FileKind* kind = kind_of(source);
  std::vector<std::string> known;
  for (const FileKind& k : kFileKinds) known.emplace_back(k.what);
  require(kind != nullptr, ErrorKind::kFormat, kWhere,
          "{} is {}, expected one of: {}; give one of these", name, other_kind(source.text),
          join(known, ", "));
  require(
      !pattern || kind->takes_pattern, ErrorKind::kUsage, kWhere,
      "{} itself says how to split text; a pattern can only be given for files of tiktoken ranks",
      name);
  return kind->read(source);
}

}  // namespace lathe
