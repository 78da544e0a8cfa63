#include "lathe/train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/hash.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "step-";
constexpr const char* kModelFile = "model.safetensors";
constexpr const char* kOptimizerFile = "optimizer.safetensors";
constexpr const char* kBest = "best";
constexpr const char* kStateFile = "state.json";
constexpr const char* kStateHash = "state_hash";

std::vector<SafetensorsWriter::Announced> announced(const std::vector<CheckpointTensor>& tensors) {
  std::vector<SafetensorsWriter::Announced> arrays;
  for (const CheckpointTensor& t : tensors) {
    const auto dims = t.shape.dims();
    arrays.push_back({t.name, std::string(safetensors_name(t.dtype)), {dims.begin(), dims.end()}});
  }
  return arrays;
}

// Of everything in the state but the hash itself; numbers are written so that they read back equal.
std::string hash_state(Json state) {
  state.erase(kStateHash);
  return hash_text(state.dump());
}

Json read_verified_state(const fs::path& folder) {
  const fs::path path = folder / kStateFile;
  const Json state = read_json_file(path);
  require(state.is_object() && state.contains(kStateHash), ErrorKind::kFormat, path.string(),
          "not the state of a checkpoint");
  require(state[kStateHash] == hash_state(state), ErrorKind::kFormat, path.string(),
          "its content is not what was written (checksum differs): the file is damaged");
  const auto files = state.find("files");
  require(files != state.end() && files->is_object(), ErrorKind::kFormat, path.string(),
          "does not say which files belong to the checkpoint");
  for (const char* name : {kModelFile, kOptimizerFile}) {
    const fs::path file = folder / name;
    const auto written = files->find(name);
    require(written != files->end() && *written == hash_file(file), ErrorKind::kFormat,
            file.string(),
            "its content is not what was written (checksum differs): the file is damaged");
  }
  return state;
}

// The array's own bytes, kept alive by `owner`; a copy where they are not aligned. Of any dtype, as
// a task's tensors may be token ids.
Tensor tensor_of(const ArraySpan& array, const CheckpointTensor& t,
                 std::shared_ptr<const void> owner) {
  if (reinterpret_cast<uintptr_t>(array.bytes.data()) % size_of(t.dtype) == 0)
    return Tensor::borrow(array.bytes.data(), t.shape, t.dtype, std::move(owner));
  Tensor copy(t.shape, t.dtype);
  std::ranges::copy(array.bytes, copy.raw());
  return copy;
}

void copy_into(const fs::path& file, const std::vector<CheckpointTensor>& tensors) {
  const auto owner = std::make_shared<const SafetensorsReader>(file);
  const SafetensorsReader& reader = *owner;
  require(reader.arrays().size() == tensors.size(), ErrorKind::kFormat, file.string(),
          "holds {} tensors, this run has {}; the recipe's model or optimiser was changed",
          reader.arrays().size(), tensors.size());
  for (const CheckpointTensor& t : tensors) {
    const ArraySpan* array = reader.find(t.name);
    require(array != nullptr, ErrorKind::kFormat, file.string(),
            "has no tensor '{}'; the recipe's model or optimiser was changed", t.name);
    require(Shape(std::span<const int64_t>(array->shape)) == t.shape &&
                array->dtype == safetensors_name(t.dtype),
            ErrorKind::kFormat, file.string(), "'{}' is {} [{}], this run has {} {}", t.name,
            array->dtype, fmt::join(array->shape, ", "), name_of(t.dtype), t.shape.str());
    t.scatter(tensor_of(*array, t, owner));
  }
}

}  // namespace

CheckpointTensor as_it_is(std::string name, const Tensor& tensor) {
  require(tensor.contiguous(), ErrorKind::kShape, "checkpoint", "'{}' is not contiguous", name);
  return {std::move(name), tensor.shape(), tensor.dtype(), [tensor] { return tensor; },
          [tensor](const Tensor& stored) { tensor.copy_from(stored); }};
}

fs::path CheckpointStore::path_of(int64_t step) const {
  return folder_ / fmt::format("{}{:08}", kPrefix, step);
}

std::vector<int64_t> CheckpointStore::steps() const {
  std::vector<int64_t> found;
  if (!fs::exists(folder_)) return found;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || !name.starts_with(kPrefix)) continue;
    int64_t step = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == end && step >= 0;
    // A folder of another spelling is not what save() made and path_of() finds.
    if (whole && path_of(step).filename() == name) found.push_back(step);
  }
  std::ranges::sort(found);
  return found;
}

struct CheckpointStore::Snapshot {
  int64_t step;
  CheckpointContent content;
  Json state;
};

void CheckpointStore::save(int64_t step, const CheckpointContent& content, Json state) {
  state["step"] = step;
  Snapshot snapshot{step, content, std::move(state)};
  writing_.begin([this, snapshot = std::move(snapshot)](const auto& has_read) mutable {
    write(snapshot, has_read);
    if (options_.keep_last > 0) prune(options_.keep_last, options_.keep_every);
  });
}

void CheckpointStore::write(Snapshot& s, const std::function<void()>& has_read) const {
  const auto on_part = [this](std::string_view part) {
    if (options_.on_part) options_.on_part(part);
  };
  const auto write_all = [&](SafetensorsWriter& file, const std::vector<CheckpointTensor>& all) {
    for (const CheckpointTensor& t : all) {
      on_part(t.name);
      const Tensor values = t.gather();
      const Tensor whole = values.contiguous() ? values : values.clone();
      file.write({whole.raw(), whole.bytes()});
    }
  };
  AtomicDirectory folder(path_of(s.step), AtomicDirectory::IfExists::kReplace);
  // Both are read before either is made durable, which takes longer and holds up nobody.
  SafetensorsWriter model(folder.temporary() / kModelFile, announced(s.content.model),
                          {{"format", "pt"}});
  write_all(model, s.content.model);
  SafetensorsWriter optimizer(folder.temporary() / kOptimizerFile, announced(s.content.optimizer));
  write_all(optimizer, s.content.optimizer);
  has_read();
  on_part(kStateFile);
  model.commit();
  optimizer.commit();
  s.state["files"][kModelFile] = model.hash();
  s.state["files"][kOptimizerFile] = optimizer.hash();
  s.state[kStateHash] = hash_state(s.state);
  write_json_file(folder.temporary() / kStateFile, s.state);
  if (options_.complete) options_.complete(folder.temporary(), path_of(s.step), s.state);
  folder.commit();
}

Json CheckpointStore::load_newest(
    const Log& log, const std::function<CheckpointContent(const Json& state)>& content_for,
    int64_t last_step) {
  finish();
  std::vector<int64_t> all = steps();
  std::erase_if(all, [&](int64_t step) { return step > last_step; });
  std::string damaged;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    const fs::path folder = path_of(*it);
    Json state;
    try {
      state = read_verified_state(folder);
    } catch (const Error& error) {  // damage of one checkpoint: say so and try the one before
      log.warn("checkpoint {} cannot be used: {}", folder.filename().string(), error.what());
      damaged += fmt::format("\n  {}", error.what());
      continue;
    }
    const CheckpointContent content = content_for(state);
    copy_into(folder / kModelFile, content.model);
    copy_into(folder / kOptimizerFile, content.optimizer);
    return state;
  }
  require(all.empty(), ErrorKind::kFormat, folder_.string(),
          "no checkpoint here is intact:{}\nDelete the folder {} to start again.", damaged,
          folder_.string());
  return {};
}

void CheckpointStore::prune(int64_t keep_last, int64_t keep_every) const {
  std::error_code none;
  const fs::path best = fs::read_symlink(folder_ / kBest, none);
  const std::vector<int64_t> all = steps();
  for (size_t i = 0; i + static_cast<size_t>(keep_last) < all.size(); ++i) {
    const bool kept = keep_every > 0 && all[i] % keep_every == 0;
    if (!kept && path_of(all[i]).filename() != best) fs::remove_all(path_of(all[i]));
  }
}

void CheckpointStore::mark_best(int64_t step) const {
  const fs::path link = folder_ / kBest;
  fs::path next = link;
  next += ".next";
  fs::remove(next);
  fs::create_directory_symlink(path_of(step).filename(), next);
  fs::rename(next, link);  // at once: there is always one
}

std::optional<fs::path> CheckpointStore::set_aside(int64_t step) const {
  const fs::path from = path_of(step);
  if (!fs::exists(from)) return std::nullopt;
  const fs::path to = folder_ / ("aside-" + from.filename().string());
  std::error_code none;
  if (fs::read_symlink(folder_ / kBest, none) == from.filename()) fs::remove(folder_ / kBest);
  fs::remove_all(to);
  fs::rename(from, to);
  return to;
}

void CheckpointStore::remove_leftovers() const {
  if (fs::exists(folder_)) lathe::remove_leftovers(folder_);
}

}  // namespace lathe
