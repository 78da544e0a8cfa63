#include "lathe/tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

size_t size_class(size_t bytes) {
  if (bytes <= 1024) return std::max<size_t>((bytes + 63) / 64 * 64, 64);
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

// What a block holds before it is written. NaN in every float type finds readers of such memory
// (tools/sanitize.sh); otherwise it is whatever was there.
std::byte* fresh(void* data, [[maybe_unused]] size_t size) {
#if defined(LATHE_SPOIL_MEMORY)
  std::memset(data, 0xFF, size);
#endif
  return static_cast<std::byte*>(data);
}

}  // namespace

HostAllocator::~HostAllocator() { trim(); }

std::byte* HostAllocator::allocate(size_t bytes) {
  require(bytes <= (size_t{1} << 56), ErrorKind::kDevice, "allocate", "{} bytes requested", bytes);
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  auto found = free_.find(size);
  if (found != free_.end() && !found->second.empty()) {
    std::byte* data = found->second.back();
    found->second.pop_back();
    return fresh(data, size);
  }
  void* data = nullptr;
  if (posix_memalign(&data, size >= kHugePage ? kHugePage : 64, size) != 0) {
    const size_t held = in_use_ -= size;
    fail(ErrorKind::kDevice, "allocate",
         "out of memory: {} requested, {} already in use; use a smaller batch_size or seq_len, or "
         "recompute = \"full\"",
         human_bytes(static_cast<double>(size)), human_bytes(static_cast<double>(held)));
  }
  // Whole huge pages only: the tail would take one of its own, up to half of a block of 2.75 MiB. A
  // hint, whose failure changes only speed.
  if (size >= kHugePage) madvise(data, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return fresh(data, size);
}

void HostAllocator::release(std::byte* data, size_t bytes) {
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  in_use_ -= size;
  free_[size].push_back(data);
}

void HostAllocator::trim() {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_)
    for (std::byte* block : blocks) std::free(block);
  free_.clear();
}

size_t HostAllocator::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

size_t HostAllocator::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void HostAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
}

HostAllocator& host_allocator() {
  // Never destroyed: tensors with static lifetime may be released after it would have been.
  static HostAllocator* allocator = new HostAllocator;
  return *allocator;
}

Allocator& allocator_of(Device device) {
  switch (device) {
    case Device::kCpu:
    case Device::kRef:
      return host_allocator();
  }
  fail(ErrorKind::kDevice, "allocate", "no memory for device {}", static_cast<int>(device));
}

}  // namespace lathe
