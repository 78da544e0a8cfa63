#include "lathe/eval/run/item_file.h"

#include "lathe/io/atomic_file.h"

namespace lathe {

ItemFile::ItemFile(const std::filesystem::path& file)
    : path_(file), lines_(file, [&](const nlohmann::ordered_json& line) {
        EvalRecord record = record_of(line, file.string());
        return kept_.emplace(std::pair{record.task, record.item.id}, std::move(record)).second;
      }) {}

void ItemFile::write(const EvalRecord& record) {
  lines_.write(json_of(record));
  kept_.emplace(std::pair{record.task, record.item.id}, record);
}

std::vector<EvalRecord> ItemFile::records(const std::string& task, int64_t count) const {
  std::vector<EvalRecord> all;
  for (int64_t id = 0; id < count; ++id) all.push_back(kept_.at({task, id}));
  return all;
}

void ItemFile::sort(std::span<const std::string> tasks) const {
  AtomicFile out(path_);
  for (const std::string& task : tasks)
    for (auto at = kept_.lower_bound({task, 0}); at != kept_.end() && at->first.first == task; ++at)
      out.write(JsonLines::text_of(json_of(at->second)));
  out.commit();
}

}  // namespace lathe
