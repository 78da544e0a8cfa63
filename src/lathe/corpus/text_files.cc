#include "lathe/corpus/text_files.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/corpus/text_format.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

// ".png", and ".tar.gz" of a packed one.
std::string endings_of(const fs::path& path) {
  const std::string last = path.extension().string();
  for (const auto packed : kPackedEndings)
    if (last == fmt::format(".{}", packed)) return path.stem().extension().string() + last;
  return last;
}

void list_folder(const fs::path& folder, TextFiles& out) {
  std::vector<fs::path> found;
  for (auto it = fs::recursive_directory_iterator(folder); it != fs::recursive_directory_iterator();
       ++it) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      if (is_text_name(it->path()))
        found.push_back(it->path());
      else
        ++out.left_out[endings_of(it->path())];
    }
  }
  std::sort(found.begin(), found.end());
  out.files.insert(out.files.end(), found.begin(), found.end());
}

std::string known_endings() {
  std::vector<std::string> text, packed;
  for (const auto ending : kTextEndings) text.push_back(fmt::format(".{}", ending));
  for (const auto ending : kPackedEndings) packed.push_back(fmt::format(".{}", ending));
  return fmt::format("{} or none, optionally followed by {}", join(text, ", "),
                     join(packed, " or "));
}

}  // namespace

int64_t TextFiles::left_out_count() const {
  int64_t count = 0;
  for (const auto& [ending, n] : left_out) count += n;
  return count;
}

std::string TextFiles::left_out_text() const {
  std::vector<std::pair<std::string, int64_t>> order(left_out.begin(), left_out.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr size_t kMost = 10;
  std::vector<std::string> parts;
  for (size_t i = 0; i < std::min(order.size(), kMost); ++i)
    parts.push_back(fmt::format("{} {}", order[i].second, order[i].first));
  return join(parts, ", ") + (order.size() > kMost ? ", …" : "");
}

TextFiles list_text_files(std::span<const std::string> paths) {
  TextFiles out;
  for (const auto& path : paths) {
    std::error_code error;
    require(fs::exists(path, error), ErrorKind::kIo, path,
            "does not exist, expected a file or folder of text; check the path");
    if (fs::is_directory(path, error))
      list_folder(path, out);
    else
      out.files.emplace_back(path);
  }
  const std::string where = paths.empty() ? "corpus" : paths[0];
  require(!out.files.empty() || out.left_out.empty(), ErrorKind::kData, where,
          "holds no text files: the {} in it are {}, expected {}; to read a file whatever its "
          "extension, name it itself",
          out.left_out_count(), out.left_out_text(), known_endings());
  require(!out.files.empty(), ErrorKind::kData, where,
          "holds no text files, expected some that end in {}", known_endings());
  return out;
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

}  // namespace lathe
