// Memory for tensors: the allocator of each device, and the reference-counted block that a Tensor
// points into.
//
// A further device gets its memory in allocator_of() and its kernels in kernels_for()
// (kernels/kernels.h). So far the host reaches the memory of every device, and relies on it
// wherever it asks a tensor for data(), span() or raw(): in the copies of tensor.cc, the routing of
// experts (ops/), tables of positions (nn/), updates (optim/). Index tensors lie on Device::kCpu
// for every device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace lathe {

// kRef runs every operation in scalar double precision (kernels/ref): the executable specification.
enum class Device : uint8_t { kCpu, kRef };

// What memory is for, in accounts of it: what the process's tensors take while a label lives is counted
// under its name. Of labels in one another the outermost counts: a critic's optimiser state belongs to
// the critic. One thread sets labels.
class MemoryLabel {
 public:
  explicit MemoryLabel(const char* name);  // of static duration
  ~MemoryLabel();
  MemoryLabel(const MemoryLabel&) = delete;
  MemoryLabel& operator=(const MemoryLabel&) = delete;

  static const char* current();  // "" without a label

 private:
  const char* const outer_;
};

// Thread-safe. A block is released under the label that it was allocated under.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // 64-byte aligned; throws Error kDevice
  virtual std::byte* allocate(size_t bytes, const char* label = "") = 0;
  virtual void release(std::byte* data, size_t bytes, const char* label = "") = 0;
  virtual void trim() = 0;                // returns blocks that it keeps to the system
  virtual bool holds_values() const = 0;  // not so in DryMemory
};

using BytesByLabel = std::vector<std::pair<std::string_view, size_t>>;  // as first met

// Freed blocks are kept in lists by size class and reused, so that a training step allocates
// nothing from the operating system after the first (a fresh 100 MB block costs 25,000 page
// faults). Size classes are 64-byte steps up to 1 KiB, then eight steps per power of two: at most
// 12.5 % is lost. Where a class has no free block, one of up to twice its size is taken: steps over
// texts of different lengths reuse each other's memory.
class HostAllocator final : public Allocator {
 public:
  // kAddresses: blocks that hold zeros and take no memory until something is written to them
  // (DryMemory).
  enum class Backing : uint8_t { kMemory, kAddresses };

  explicit HostAllocator(Backing backing = Backing::kMemory) : backing_(backing) {}
  ~HostAllocator() override;
  std::byte* allocate(size_t bytes, const char* label = "") override;
  void release(std::byte* data, size_t bytes, const char* label = "") override;
  void trim() override;
  bool holds_values() const override { return backing_ == Backing::kMemory; }

  size_t bytes_in_use() const;  // as they were asked for
  size_t peak_bytes() const;    // largest bytes_in_use since the last reset_peak()
  BytesByLabel peak_by_label() const;
  // What all blocks, in use or kept, take once their users have written to them: of each the most that
  // was asked for, without what its size class adds. And the largest that this was.
  size_t bytes_touched() const;
  size_t peak_touched() const;
  void reset_peak();

 private:
  // Of a block: its size class, and the most of it that was asked for.
  struct Block {
    size_t size = 0, touched = 0;
  };

  std::byte* free_block(size_t size);  // nullptr if there is none
  std::byte* from_system(size_t size);
  void to_system(std::byte* block, size_t size);
  void count(const char* label, size_t bytes, bool taken);

  const Backing backing_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  std::unordered_map<std::byte*, Block> blocks_;
  size_t in_use_ = 0, peak_ = 0, touched_bytes_ = 0, peak_touched_ = 0;
  BytesByLabel by_label_, peak_by_label_;
};

// The process's host memory; one per process, as malloc is.
HostAllocator& host_allocator();

// While it lives, tensors get addresses without memory: floating tensors hold zeros, and what is
// copied into them is lost; integers are kept. With kernels that do nothing (kernels/dry_run.h) a
// whole training step runs in no time and tells what it would take. One at a time; its tensors must
// be gone before it is.
class DryMemory {
 public:
  DryMemory();
  ~DryMemory();
  DryMemory(const DryMemory&) = delete;
  DryMemory& operator=(const DryMemory&) = delete;

  const HostAllocator& allocator() const { return allocator_; }

 private:
  HostAllocator allocator_{HostAllocator::Backing::kAddresses};
};

// The allocator for the tensors of a device: the host's memory for both.
Allocator& allocator_of(Device device);

class Storage {
 public:
  Storage(size_t bytes, Device device)
      : allocator_(&allocator_of(device)),
        label_(MemoryLabel::current()),
        data_(allocator_->allocate(bytes, label_)),
        bytes_(bytes),
        device_(device) {}
  // Borrowed memory (a mapped file), kept alive by `owner`; must not be written to.
  Storage(const std::byte* data, size_t bytes, Device device, std::shared_ptr<const void> owner)
      : data_(const_cast<std::byte*>(data)),
        bytes_(bytes),
        device_(device),
        owner_(std::move(owner)) {}
  ~Storage() {
    if (!owner_) allocator_->release(data_, bytes_, label_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool borrowed() const { return owner_ != nullptr; }
  // Not so in DryMemory.
  bool holds_values() const { return allocator_ == nullptr || allocator_->holds_values(); }

 private:
  Allocator* allocator_ = nullptr;
  const char* label_ = "";
  std::byte* data_;
  size_t bytes_;
  Device device_;
  std::shared_ptr<const void> owner_;
};

}  // namespace lathe
