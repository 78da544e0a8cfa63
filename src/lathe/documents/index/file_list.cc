#include "lathe/documents/index/file_list.h"

#include <algorithm>
#include <chrono>

#include "lathe/base/error.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

void add(std::vector<ListedFile>& out, const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return;
  const auto changed = fs::last_write_time(path, error);
  if (error) return;
  out.push_back(
      {path.string(), static_cast<int64_t>(bytes),
       std::chrono::duration_cast<std::chrono::nanoseconds>(changed.time_since_epoch()).count()});
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

void add_below(std::vector<ListedFile>& out, const fs::path& folder) {
  std::error_code error;
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code gone;
    if (is_hidden(it->path())) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file(gone) && !gone) {
      add(out, it->path());
    }
  }
}

}  // namespace

std::vector<ListedFile> list_files(std::span<const fs::path> folders) {
  std::vector<ListedFile> out;
  for (const fs::path& given : folders) {
    std::error_code error;
    const fs::path path = fs::canonical(given, error);
    require(!error, ErrorKind::kUsage, given.string(), "there is no such file or folder ({})",
            error.message());
    fs::is_directory(path) ? add_below(out, path) : add(out, path);
  }
  std::ranges::sort(out, {}, &ListedFile::path);
  const auto same = std::ranges::unique(out, {}, &ListedFile::path);
  out.erase(same.begin(), same.end());
  return out;
}

}  // namespace lathe
