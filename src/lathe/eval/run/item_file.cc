#include "lathe/eval/run/item_file.h"

#include "lathe/io/atomic_file.h"

namespace lathe {

ItemFile::ItemFile(const std::filesystem::path& file)
    : path_(file), lines_(file, [&](const nlohmann::ordered_json& line) {
        EvalRecord record = record_of(line, file.string());
        return keep(std::move(record));
      }) {}

bool ItemFile::keep(EvalRecord record) {
  const std::pair key{record.task, record.item.id};
  const auto found = kept_.find(key);
  if (found != kept_.end() && (!found->second.metrics.empty() || record.metrics.empty()))
    return false;
  if (!record.metrics.empty()) ++judged_[record.task];
  kept_.insert_or_assign(key, std::move(record));
  return true;
}

void ItemFile::write(const EvalRecord& record) {
  lines_.write(json_of(record));
  keep(record);
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
