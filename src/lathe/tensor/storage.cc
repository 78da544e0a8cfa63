#include "lathe/tensor/storage.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kAddressesFrom = size_t{64} << 10;  // smaller blocks of dry memory are real

std::atomic<const char*> current_label = "";
HostAllocator* dry_allocator = nullptr;

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

std::byte* HostAllocator::from_system(size_t size) {
  void* data = nullptr;
  bool there = false;
  if (backing_ == Backing::kAddresses && size >= kAddressesFrom) {
    data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    there = data != MAP_FAILED;
  } else {
    there = posix_memalign(&data, size >= kHugePage ? kHugePage : 64, size) == 0;
    if (there && backing_ == Backing::kAddresses) std::memset(data, 0, size);
  }
  require(there, ErrorKind::kDevice, "allocate",
          "out of memory: {} requested, {} already in use; use a smaller batch_size or seq_len, or "
          "recompute = \"full\"",
          human_bytes(static_cast<double>(size)), human_bytes(static_cast<double>(in_use_)));
  // Whole huge pages only: the tail would take one of its own, up to half of a block of 2.75 MiB. A
  // hint, whose failure changes only speed. Of addresses without memory, one page of zeros serves all
  // that is read.
  if (size >= kHugePage) madvise(data, size / kHugePage * kHugePage, MADV_HUGEPAGE);
  return static_cast<std::byte*>(data);
}

void HostAllocator::to_system(std::byte* block, size_t size) {
  if (backing_ == Backing::kAddresses && size >= kAddressesFrom) {
    munmap(block, size);
  } else {
    std::free(block);
  }
}

void HostAllocator::count(const char* label, size_t bytes, bool taken) {
  auto found =
      std::ranges::find(by_label_, std::string_view(label), &BytesByLabel::value_type::first);
  if (found == by_label_.end()) found = by_label_.insert(found, {label, 0});
  if (!taken) {
    in_use_ -= bytes;
    found->second -= bytes;
    return;
  }
  in_use_ += bytes;
  found->second += bytes;
  if (in_use_ <= peak_) return;
  peak_ = in_use_;
  peak_by_label_ = by_label_;
}

std::byte* HostAllocator::free_block(size_t size) {
  for (auto kept = free_.lower_bound(size); kept != free_.end() && kept->first <= 2 * size;
       ++kept) {
    if (kept->second.empty()) continue;
    std::byte* const data = kept->second.back();
    kept->second.pop_back();
    return data;
  }
  return nullptr;
}

std::byte* HostAllocator::allocate(size_t bytes, const char* label) {
  require(bytes <= (size_t{1} << 56), ErrorKind::kDevice, "allocate", "{} bytes requested", bytes);
  const size_t size = size_class(bytes);
  const std::lock_guard lock(mutex_);
  std::byte* data = free_block(size);
  if (data == nullptr) {
    data = from_system(size);
    blocks_[data].size = size;
  }
  count(label, bytes, true);
  Block& block = blocks_.at(data);
  if (bytes > block.touched) {
    touched_bytes_ += bytes - block.touched;
    block.touched = bytes;
    peak_touched_ = std::max(peak_touched_, touched_bytes_);
  }
  return backing_ == Backing::kMemory ? fresh(data, block.size) : data;
}

void HostAllocator::release(std::byte* data, size_t bytes, const char* label) {
  const std::lock_guard lock(mutex_);
  const size_t size = blocks_.at(data).size;
  if (backing_ == Backing::kAddresses) {  // zeros again
    if (size < kAddressesFrom) {
      std::memset(data, 0, size);
    } else {
      madvise(data, size, MADV_DONTNEED);
    }
  }
  count(label, bytes, false);
  free_[size].push_back(data);
}

void HostAllocator::trim() {
  const std::lock_guard lock(mutex_);
  for (auto& [size, blocks] : free_)
    for (std::byte* data : blocks) {
      const auto block = blocks_.find(data);
      touched_bytes_ -= block->second.touched;
      blocks_.erase(block);
      to_system(data, size);
    }
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

BytesByLabel HostAllocator::peak_by_label() const {
  const std::lock_guard lock(mutex_);
  return peak_by_label_;
}

size_t HostAllocator::bytes_touched() const {
  const std::lock_guard lock(mutex_);
  return touched_bytes_;
}

size_t HostAllocator::peak_touched() const {
  const std::lock_guard lock(mutex_);
  return peak_touched_;
}

void HostAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_touched_ = touched_bytes_;
  peak_ = in_use_;
  peak_by_label_ = by_label_;
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
      return dry_allocator != nullptr ? *dry_allocator : host_allocator();
  }
  fail(ErrorKind::kDevice, "allocate", "no memory for device {}", static_cast<int>(device));
}

DryMemory::DryMemory() {
  require(dry_allocator == nullptr, ErrorKind::kDevice, "allocate", "memory is dry already");
  dry_allocator = &allocator_;
}

DryMemory::~DryMemory() { dry_allocator = nullptr; }

MemoryLabel::MemoryLabel(const char* name) : outer_(current_label) {
  if (*outer_ == '\0') current_label = name;
}

MemoryLabel::~MemoryLabel() { current_label = outer_; }

const char* MemoryLabel::current() { return current_label; }

}  // namespace lathe
