// Where the state of an optimiser lies: in memory, or on disk, from where the part that a step needs comes and goes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/optim/trained_parameter.h"

namespace lathe {

// A tensor that an optimiser keeps of a parameter.
struct StateShape {
  std::string_view name;  // "adamw.m"
  Shape shape;
};

// A tensor of a state, wherever it lies.
struct StateTensor {
  std::string name;  // "adamw.m/PARAMETER"
  Shape shape;
  DType dtype;
  std::function<Tensor()> read;                     // which nothing is written to
  std::function<void(const Tensor& values)> write;  // error kShape for another shape
};
using StateFn = std::function<void(const StateTensor& state)>;

// Not thread-safe, but for StateTensor::read() beside one another.
class StateStore {
 public:
  virtual ~StateStore() = default;

  bool has(const std::string& parameter) const { return index_.contains(parameter); }
  // Zeros of the dtype of the master copy, on its device.
  void add(const TrainedParameter& parameter, std::span<const StateShape> shapes);

  // f(parameter, its tensors) for each, in order; what f writes to them is kept. Each has been added. Errors: what f
  // throws; kIo.
  using Use = std::function<void(const TrainedParameter&, std::span<const Tensor>)>;
  virtual void use(std::span<const TrainedParameter> parameters, const Use& f) = 0;
  // In the order in which they were added.
  virtual void for_each(const StateFn& f) = 0;
  // The most memory that it takes.
  virtual int64_t resident_bytes() const = 0;

 protected:
  // Of one parameter.
  struct Entry {
    std::string parameter;
    std::vector<std::string> names;
    std::vector<Shape> shapes;
    DType dtype;
    Device device;
    std::vector<Tensor> tensors = {};  // of a store in memory
    int64_t offset = 0;                // of a store on disk
    bool written = false;              // there; otherwise zeros
    int64_t bytes() const;
  };
  static int64_t bytes_of(std::span<const Entry> entries);
  virtual void make(Entry& entry) = 0;
  Entry& entry_of(const TrainedParameter& p) { return entries_[index_.at(p.name())]; }

  std::vector<Entry> entries_;

 private:
  std::map<std::string, size_t> index_;
};

std::unique_ptr<StateStore> store_in_memory();

// On disk, in a file without a name in `folder` (io/scratch_file.h), which is made with its first use. Of `use`, what
// comes next is read and what came before is written while f runs: in memory are three parameters' tensors, or of
// small ones three times a few MiB. The bits are those of a store in memory.
std::unique_ptr<StateStore> store_on_disk(std::filesystem::path folder);

}  // namespace lathe
