#include "lathe/corpus/documents.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/recipe.h"
#include "lathe/corpus/line_reader.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

bool is_text_name(const fs::path& path) {
  static constexpr std::array<std::string_view, 5> kExtensions = {"", ".txt", ".text", ".md",
                                                                  ".jsonl"};
  return std::find(kExtensions.begin(), kExtensions.end(), path.extension().string()) !=
         kExtensions.end();
}

void list_folder(const fs::path& folder, std::vector<fs::path>& files) {
  std::vector<fs::path> found;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator();
       ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file() && is_text_name(it->path())) {
      found.push_back(it->path());
    }
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
}

// Carries what the readers of the formats share: counting, limits, and the sink.
class Emitter {
 public:
  Emitter(const DocumentConfig& settings, const std::function<bool(Document&&)>& sink)
      : config(settings),
        max_bytes(static_cast<size_t>(settings.max_document_mib) << 20),
        sink_(sink) {}

  // False: the sink wants no more.
  bool emit(std::string text, const fs::path& file, int64_t line) {
    if (is_blank(text)) {
      ++counts.blank;
      return true;
    }
    ++counts.documents;
    counts.bytes += static_cast<int64_t>(text.size());
    return sink_({std::move(text), file.string(), line});
  }

  const DocumentConfig& config;
  const size_t max_bytes;
  DocumentCounts counts;

 private:
  const std::function<bool(Document&&)>& sink_;
};

std::string text_of_line(std::string_view line, const fs::path& file, int64_t number,
                         const std::string& field) {
  const auto tree =
      parse_json(line, file.string(),
                 {.first_line = static_cast<size_t>(number), .error_kind = ErrorKind::kData});
  const auto where = fmt::format("{}:{}", file.string(), number);
  require(tree.is_object(), ErrorKind::kData, where,
          "is not a JSON object, expected {{\"{}\": \"...\"}}", field);
  const auto it = tree.find(field);
  if (it == tree.end() || !it->is_string()) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : tree.items()) keys.push_back(key);
    keys.resize(std::min<size_t>(keys.size(), 20));
    fail(ErrorKind::kData, where,
         "has no string field '{}'; its fields are: {}. Name the right one", field,
         join(keys, ", "));
  }
  return it->get<std::string>();
}

bool read_jsonl(const fs::path& file, Emitter& out) {
  LineReader lines(file, out.max_bytes);
  std::string_view line;
  while (lines.next(line)) {
    if (lines.line_number() == 1 && line.starts_with(kByteOrderMark))
      line.remove_prefix(kByteOrderMark.size());
    if (is_blank(line)) continue;
    if (!out.emit(text_of_line(line, file, lines.line_number(), out.config.text_field), file,
                  lines.line_number()))
      return false;
  }
  return true;
}

bool read_whole(const fs::path& file, Emitter& out) {
  std::string text = read_file(file, out.max_bytes);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return out.emit(std::move(text), file, 1);
}

// Documents are runs of lines between lines that are blank or equal to the separator.
bool read_split(const fs::path& file, Emitter& out) {
  const bool at_blank = out.config.split == "blank-lines";
  LineReader lines(file, out.max_bytes);
  std::string text;
  std::string_view line;
  int64_t first = 1;
  const auto flush = [&] {
    const bool any = !text.empty();
    const bool go_on = !any || out.emit(std::move(text), file, first);
    text.clear();
    return go_on;
  };
  while (lines.next(line)) {
    if (lines.line_number() == 1 && line.starts_with(kByteOrderMark))
      line.remove_prefix(kByteOrderMark.size());
    std::string_view bare = line;
    if (bare.ends_with('\r')) bare.remove_suffix(1);
    if (at_blank ? is_blank(bare) : bare == out.config.separator) {
      if (!flush()) return false;
      continue;
    }
    if (text.empty()) first = lines.line_number();
    require(text.size() + line.size() < out.max_bytes, ErrorKind::kData,
            fmt::format("{}:{}", file.string(), first),
            "the document is larger than {} MiB; raise max_document_mib or split it differently",
            out.config.max_document_mib);
    text.append(line);
    text += '\n';
  }
  return flush();
}

}  // namespace

std::vector<fs::path> list_text_files(std::span<const std::string> paths) {
  std::vector<fs::path> files;
  for (const auto& path : paths) {
    std::error_code error;
    require(fs::exists(path, error), ErrorKind::kIo, path, "does not exist");
    if (fs::is_directory(path, error))
      list_folder(path, files);
    else
      files.emplace_back(path);
  }
  require(!files.empty(), ErrorKind::kData, paths.empty() ? std::string("corpus") : paths[0],
          "holds no text files, expected .txt, .text, .md, .jsonl or files without extension");
  return files;
}

int64_t total_bytes(std::span<const fs::path> files) {
  int64_t total = 0;
  for (const auto& file : files) {
    std::error_code error;  // a pipe has no size; it counts as nothing
    const auto size = fs::file_size(file, error);
    if (!error) total += static_cast<int64_t>(size);
  }
  return total;
}

DocumentCounts for_each_document(std::span<const fs::path> files, const DocumentConfig& config,
                                 const std::function<bool(Document&&)>& sink) {
  Emitter out(config, sink);
  for (const auto& file : files) {
    ++out.counts.files;
    const bool go_on = file.extension() == ".jsonl" ? read_jsonl(file, out)
                       : config.split == "file"     ? read_whole(file, out)
                                                    : read_split(file, out);
    if (!go_on) break;
  }
  require(out.counts.documents > 0, ErrorKind::kData,
          files.empty() ? std::string("corpus") : files[0].string(),
          "the corpus is empty: {} files hold no text; give files with text in them",
          out.counts.files);
  return out.counts;
}

}  // namespace lathe
