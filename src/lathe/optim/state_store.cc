#include "lathe/optim/state_store.h"

#include <algorithm>
#include <future>
#include <numeric>
#include <optional>

#include "lathe/base/error.h"
#include "lathe/io/scratch_file.h"

namespace lathe {
namespace {

// How many of the next `count` states are read and written together: as many small ones as fit into 4 MiB, or one.
// bytes_of(i) is what the i-th takes.
template <class BytesOf>
size_t batch_size(size_t count, const BytesOf& bytes_of) {
  constexpr int64_t kMost = int64_t{4} << 20;
  size_t size = 0;
  for (int64_t bytes = 0; size < count; ++size) {
    bytes += bytes_of(size);
    if (size > 0 && bytes > kMost) break;
  }
  return size;
}

void require_shape(const std::string& name, const Tensor& values, const Shape& shape) {
  require(values.defined() && values.shape() == shape, ErrorKind::kShape, name,
          "the state is {}, expected {}; the checkpoint is of another model or optimiser",
          values.defined() ? values.shape().str() : "absent", shape.str());
}

class MemoryStore final : public StateStore {
 public:
  void use(std::span<const TrainedParameter> parameters, const Use& f) override {
    for (const TrainedParameter& p : parameters) f(p, entry_of(p).tensors);
  }

  void for_each(const StateFn& f) override {
    for (const Entry& entry : entries_)
      for (size_t i = 0; i < entry.names.size(); ++i) {
        const Tensor& tensor = entry.tensors[i];
        f({entry.names[i], tensor.shape(), tensor.dtype(), [tensor] { return tensor; },
           [tensor, name = entry.names[i]](const Tensor& values) {
             require_shape(name, values, tensor.shape());
             tensor.copy_from(values);
           }});
      }
  }

  int64_t resident_bytes() const override { return bytes_of(entries_); }

 private:
  void make(Entry& entry) override {
    for (const Shape& shape : entry.shapes)
      entry.tensors.push_back(Tensor::zeros(shape, entry.dtype, entry.device));
  }
};

class DiskStore final : public StateStore {
 public:
  explicit DiskStore(std::filesystem::path folder)
      : folder_(std::move(folder)), label_(MemoryLabel::current()) {}

  // Reads ahead by one batch and writes behind by one.
  void use(std::span<const TrainedParameter> parameters, const Use& f) override {
    std::unique_ptr<Batch> before, now, next = read_batch(parameters);
    while (next != nullptr) {
      now = std::move(next);
      now->wait();
      parameters = parameters.subspan(now->entries.size());
      next = read_batch(parameters);
      for (size_t i = 0; i < now->entries.size(); ++i) f(now->parameters[i], now->tensors[i]);
      if (before != nullptr) before->wait();
      before = std::move(now);
      write_batch(*before);
    }
    if (before != nullptr) before->wait();
  }

  void for_each(const StateFn& f) override {
    for (size_t e = 0; e < entries_.size(); ++e)
      for (size_t i = 0; i < entries_[e].names.size(); ++i)
        f({entries_[e].names[i], entries_[e].shapes[i], entries_[e].dtype,
           [this, e, i] { return read_one(entries_[e], i); },
           [this, e, i](const Tensor& values) { write_one(e, i, values); }});
  }

  int64_t resident_bytes() const override {
    std::vector<int64_t> batches;
    for (std::span<const Entry> rest = entries_; !rest.empty();) {
      const size_t size = batch_size(rest.size(), [&](size_t i) { return rest[i].bytes(); });
      batches.push_back(bytes_of(rest.first(size)));
      rest = rest.subspan(size);
    }
    int64_t most = 0;
    for (size_t i = 0; i < batches.size(); ++i)
      most = std::max(
          most,
          std::accumulate(batches.begin() + static_cast<int64_t>(i),
                          batches.begin() + static_cast<int64_t>(std::min(i + 3, batches.size())),
                          int64_t{0}));
    return most;
  }

 private:
  // Tensors of consecutive parameters, while they are read, used or written. A future waits when it is destroyed,
  // before the tensors are.
  struct Batch {
    std::span<const TrainedParameter> parameters;
    std::vector<Entry*> entries;
    std::vector<std::vector<Tensor>> tensors;
    std::future<void> moving;
    void wait() {
      if (moving.valid()) moving.get();
    }
  };

  void make(Entry& entry) override {
    entry.offset = size_;
    size_ += (entry.bytes() + 4095) / 4096 * 4096;
  }

  // Those that come first of `rest`, at least one of them if there is any; nullptr if there is none.
  std::unique_ptr<Batch> read_batch(std::span<const TrainedParameter> rest) {
    if (rest.empty()) return nullptr;
    const MemoryLabel label(label_);
    auto batch = std::make_unique<Batch>();
    batch->parameters =
        rest.first(batch_size(rest.size(), [&](size_t i) { return entry_of(rest[i]).bytes(); }));
    for (const TrainedParameter& p : batch->parameters) {
      Entry& entry = entry_of(p);
      batch->entries.push_back(&entry);
      std::vector<Tensor>& tensors = batch->tensors.emplace_back();
      for (const Shape& shape : entry.shapes)
        tensors.push_back(entry.written ? Tensor(shape, entry.dtype, entry.device)
                                        : Tensor::zeros(shape, entry.dtype, entry.device));
    }
    move(*batch, [](const ScratchFile& file, const Entry& entry, const std::vector<Tensor>& all) {
      if (!entry.written) return;
      int64_t at = entry.offset;
      for (const Tensor& t : all) {
        file.read(at, {t.raw(), t.bytes()});
        at += static_cast<int64_t>(t.bytes());
      }
    });
    return batch;
  }

  void write_batch(Batch& batch) {
    move(batch, [](const ScratchFile& file, Entry& entry, const std::vector<Tensor>& all) {
      int64_t at = entry.offset;
      for (const Tensor& t : all) {
        file.write(at, {t.raw(), t.bytes()});
        at += static_cast<int64_t>(t.bytes());
      }
      entry.written = true;
    });
  }

  // f(file, entry, tensors) for each of the batch, by another thread. Nothing where there is no memory but addresses.
  template <class F>
  void move(Batch& batch, F&& f) {
    const auto is_dry = [](const std::vector<Tensor>& all) {
      return !all.empty() && !all[0].holds_values();
    };
    if (std::ranges::any_of(batch.tensors, is_dry)) return;
    const ScratchFile& file = open();
    batch.moving = std::async(std::launch::async, [&batch, &file, f] {
      for (size_t i = 0; i < batch.entries.size(); ++i)
        f(file, *batch.entries[i], batch.tensors[i]);
    });
  }

  const ScratchFile& open() {
    if (!file_) file_.emplace(folder_);
    if (reserved_ < size_) file_->reserve(size_);
    reserved_ = size_;
    return *file_;
  }

  static int64_t offset_of(const Entry& entry, size_t tensor) {
    int64_t at = entry.offset;
    for (size_t i = 0; i < tensor; ++i)
      at += entry.shapes[i].numel() * static_cast<int64_t>(size_of(entry.dtype));
    return at;
  }

  Tensor read_one(const Entry& entry, size_t tensor) const {
    if (!entry.written) return Tensor::zeros(entry.shapes[tensor], entry.dtype, entry.device);
    const Tensor values(entry.shapes[tensor], entry.dtype, entry.device);
    file_->read(offset_of(entry, tensor), {values.raw(), values.bytes()});
    return values;
  }

  void write_one(size_t e, size_t tensor, const Tensor& values) {
    Entry& entry = entries_[e];
    require_shape(entry.names[tensor], values, entry.shapes[tensor]);
    const ScratchFile& file = open();
    for (size_t i = 0; i < entry.shapes.size();
         ++i) {  // the others of a parameter that has none yet
      if (entry.written || i == tensor) continue;
      const Tensor zeros = Tensor::zeros(entry.shapes[i], entry.dtype, entry.device);
      file.write(offset_of(entry, i), {zeros.raw(), zeros.bytes()});
    }
    Tensor whole = values.to(entry.dtype);
    if (!whole.contiguous()) whole = whole.clone();
    file.write(offset_of(entry, tensor), {whole.raw(), whole.bytes()});
    entry.written = true;
  }

  const std::filesystem::path folder_;
  const char* const label_;
  std::optional<ScratchFile> file_;
  int64_t size_ = 0, reserved_ = 0;
};

}  // namespace

int64_t StateStore::Entry::bytes() const {
  int64_t sum = 0;
  for (const Shape& shape : shapes) sum += shape.numel() * static_cast<int64_t>(size_of(dtype));
  return sum;
}

int64_t StateStore::bytes_of(std::span<const Entry> entries) {
  return std::accumulate(entries.begin(), entries.end(), int64_t{0},
                         [](int64_t sum, const Entry& entry) { return sum + entry.bytes(); });
}

void StateStore::add(const TrainedParameter& p, std::span<const StateShape> shapes) {
  Entry entry{.parameter = p.name(),
              .names = {},
              .shapes = {},
              .dtype = p.master.dtype(),
              .device = p.master.device()};
  for (const StateShape& each : shapes) {
    entry.names.push_back(std::string(each.name) + "/" + p.name());
    entry.shapes.push_back(each.shape);
  }
  make(entry);
  index_[p.name()] = entries_.size();
  entries_.push_back(std::move(entry));
}

std::unique_ptr<StateStore> store_in_memory() { return std::make_unique<MemoryStore>(); }

std::unique_ptr<StateStore> store_on_disk(std::filesystem::path folder) {
  return std::make_unique<DiskStore>(std::move(folder));
}

}  // namespace lathe
