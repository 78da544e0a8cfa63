// Which items of tasks stand in text that a model has learnt from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lathe/eval/run/eval_run.h"

namespace lathe {

// An item is in a text if both have a run of `ngram` words in common (Brown et al. 2020, arXiv:2005.14165, appendix C); an
// item is all texts of its row. Rows with fewer words cannot be compared. Not thread-safe.
class Contamination {
 public:
  static constexpr int64_t kWords = 13;

  explicit Contamination(const std::vector<AskedTask>& tasks, int64_t ngram = kWords);

  // Looks for them in a file (corpus/whole_texts.h). `before_each` is called before each text, and may throw.
  void look_in(const std::filesystem::path& file, const std::function<void()>& before_each);

  // Of a task the numbers of its items that were found, and how many cannot be compared.
  const std::set<int64_t>& found(size_t task) const { return found_[task]; }
  int64_t too_short(size_t task) const { return too_short_[task]; }
  int64_t ngram() const { return ngram_; }

 private:
  struct Place {
    uint32_t task;
    int64_t item;
  };

  int64_t ngram_;
  std::unordered_multimap<uint64_t, Place> grams_;
  std::vector<std::set<int64_t>> found_;
  std::vector<int64_t> too_short_;
};

// The plain texts that the model at `model` was made from, as far as its manifests say and they are there unchanged
// (io/manifest.h).
std::vector<std::filesystem::path> texts_of_lineage(const std::filesystem::path& model);

}  // namespace lathe
