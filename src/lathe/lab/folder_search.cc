#include "lathe/lab/folder_search.h"

#include <set>
#include <string>

#include "lathe/base/error.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

class Search {
 public:
  Search(const std::function<void(const fs::path&)>& visit,
         const std::function<void(const fs::path&, const std::error_code&)>& unreadable)
      : visit_(visit), unreadable_(unreadable) {}

  void look_into(const fs::path& folder) {
    std::error_code error;
    // Two roots may overlap.
    if (!seen_.insert(fs::weakly_canonical(folder, error)).second) return;
    visit_(folder);
    const bool is_run = fs::exists(folder / "metrics.jsonl", error);
    std::set<fs::path> below;
    fs::directory_iterator it(folder, error);
    for (; !error && it != fs::directory_iterator(); it.increment(error))
      if (is_searched(*it, is_run)) below.insert(it->path());
    if (error) unreadable_(folder, error);
    for (const fs::path& path : below) look_into(path);
  }

 private:
  static bool is_searched(const fs::directory_entry& entry, bool in_run) {
    std::error_code error;
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory(error) || entry.is_symlink(error) || name.starts_with('.'))
      return false;
    return !in_run ||
           (name != "checkpoints" && name != "model" && name != "adapter" && name != "tensorboard");
  }

  const std::function<void(const fs::path&)>& visit_;
  const std::function<void(const fs::path&, const std::error_code&)>& unreadable_;
  std::set<fs::path> seen_;
};

}  // namespace

void visit_folders(const std::vector<fs::path>& roots,
                   const std::function<void(const fs::path&)>& visit,
                   const std::function<void(const fs::path&, const std::error_code&)>& unreadable) {
  Search search(visit, unreadable);
  for (const fs::path& root : roots) {
    std::error_code error;
    require(fs::is_directory(root, error), ErrorKind::kIo, root.string(),
            "is not a folder; give a folder that has runs below it");
    search.look_into(root);
  }
}

std::vector<fs::path> searched_folders(const std::vector<std::string>& given) {
  if (!given.empty()) return {given.begin(), given.end()};
  std::error_code error;
  return {fs::is_directory("runs", error) ? "runs" : "."};
}

}  // namespace lathe
