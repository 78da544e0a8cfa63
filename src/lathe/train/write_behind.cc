#include "lathe/train/write_behind.h"

#include <chrono>
#include <utility>

namespace lathe {

WriteBehind::~WriteBehind() {
  if (thread_.joinable()) thread_.join();
}

void WriteBehind::begin(Work work) {
  finish();
  stage_ = Stage::kReading;
  thread_ = std::thread([this, work = std::move(work)] { run(work); });
}

void WriteBehind::run(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  try {
    work([this] { enter(Stage::kReadAll); });
  } catch (...) {  // whatever it is, it belongs to the owner
    error_ = std::current_exception();
  }
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  enter(Stage::kEnded);
}

void WriteBehind::enter(Stage stage) {
  // Notified under the lock: the owner may destroy both as soon as it has seen the stage.
  const std::lock_guard lock(mutex_);
  stage_ = stage;
  changed_.notify_all();
}

void WriteBehind::wait_until_read() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stage_ != Stage::kReading; });
    if (stage_ == Stage::kReadAll) return;
  }
  finish();
}

void WriteBehind::finish() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace lathe
