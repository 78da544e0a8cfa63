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
#include <vector>

namespace lathe {

// kRef runs every operation in scalar double precision (kernels/ref): the executable specification.
enum class Device : uint8_t { kCpu, kRef };

// Thread-safe.
class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual std::byte* allocate(size_t bytes) = 0;  // 64-byte aligned; throws Error kDevice
  virtual void release(std::byte* data, size_t bytes) = 0;
};

// Freed blocks are kept in lists by size class and reused, so that a training step allocates
// nothing from the operating system after the first (a fresh 100 MB block costs 25,000 page
// faults). Size classes are 64-byte steps up to 1 KiB, then eight steps per power of two: at most
// 12.5 % is lost.
class HostAllocator final : public Allocator {
 public:
  ~HostAllocator() override;
  std::byte* allocate(size_t bytes) override;
  void release(std::byte* data, size_t bytes) override;
  void trim();  // returns cached blocks to the operating system

  size_t bytes_in_use() const;
  size_t peak_bytes() const;  // largest bytes_in_use since the last reset_peak()
  void reset_peak();

 private:
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<std::byte*>> free_;
  size_t in_use_ = 0, peak_ = 0;
};

// The process's host memory; one per process, as malloc is.
HostAllocator& host_allocator();

// The allocator for the tensors of a device: the host's memory for both.
Allocator& allocator_of(Device device);

class Storage {
 public:
  Storage(size_t bytes, Device device)
      : data_(allocator_of(device).allocate(bytes)), bytes_(bytes), device_(device) {}
  // Borrowed memory (a mapped file), kept alive by `owner`; must not be written to.
  Storage(const std::byte* data, size_t bytes, Device device, std::shared_ptr<const void> owner)
      : data_(const_cast<std::byte*>(data)),
        bytes_(bytes),
        device_(device),
        owner_(std::move(owner)) {}
  ~Storage() {
    if (!owner_) allocator_of(device_).release(data_, bytes_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool borrowed() const { return owner_ != nullptr; }

 private:
  std::byte* data_;
  size_t bytes_;
  Device device_;
  std::shared_ptr<const void> owner_;
};

}  // namespace lathe
