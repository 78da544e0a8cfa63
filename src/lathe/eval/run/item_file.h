// items.jsonl while a run writes it: each line as soon as its item is finished, so that a run that is killed loses none.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lathe/eval/record.h"
#include "lathe/io/json_lines.h"

namespace lathe {

class ItemFile {
 public:
  // Keeps the lines that are there. Errors: kIo; kData for a line that is no item.
  explicit ItemFile(const std::filesystem::path& file);

  bool answered(const std::string& task, int64_t id) const { return kept_.contains({task, id}); }
  // How many items of a task have metrics.
  int64_t judged(const std::string& task) const {
    const auto found = judged_.find(task);
    return found == judged_.end() ? 0 : found->second;
  }
  // A second line of an item takes the place of one without metrics.
  void write(const EvalRecord& record);
  // Of an item that is answered.
  const EvalRecord& record(const std::string& task, int64_t id) const {
    return kept_.at({task, id});
  }
  // Of the items of a task with these numbers, which are all there.
  std::vector<EvalRecord> records(const std::string& task, int64_t count) const;
  // Puts the lines in the order of the tasks and of their items.
  void sort(std::span<const std::string> tasks) const;

 private:
  bool keep(EvalRecord record);  // whether it is new

  std::filesystem::path path_;
  std::map<std::pair<std::string, int64_t>, EvalRecord> kept_;
  std::map<std::string, int64_t> judged_;
  JsonLines lines_;
};

}  // namespace lathe
