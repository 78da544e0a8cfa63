// A write on its own thread, in two parts: first it reads data that its owner must not change
// meanwhile, then it continues independently.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace lathe {

// There is at most one write at a time. Only the owner's thread may call the members; only the work
// runs on the other thread. An error of the work is kept for the owner: begin(), wait_until_read()
// and finish() throw it once, as it was thrown.
class WriteBehind {
 public:
  // Calls `has_read` once it has read what the owner may change, then does the rest. It shares the
  // processor with the owner, so it must not open its own OpenMP team.
  using Work = std::function<void(const std::function<void()>& has_read)>;

  WriteBehind() = default;
  ~WriteBehind();  // waits for the end; an error that was not thrown is lost
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Waits for the end of the previous work, then starts `work` and returns.
  void begin(Work work);
  // Waits until the work has read everything, or failed.
  void wait_until_read();
  // Waits until the work has ended.
  void finish();
  // The duration of the work that finish() last waited for.
  double seconds() const { return seconds_; }

 private:
  enum class Stage { kReading, kReadAll, kEnded };
  void run(const Work& work);
  void enter(Stage stage);

  std::thread thread_;  // joinable from begin() to finish()
  std::mutex mutex_;    // of stage_
  std::condition_variable changed_;
  Stage stage_ = Stage::kEnded;
  std::exception_ptr error_;  // these two: written by the thread, read after its end
  double seconds_ = 0;
};

}  // namespace lathe
