// A write on a thread of its own, in two parts: first it reads what its owner may not change
// meanwhile, then it goes on by itself.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace lathe {

// At most one write at a time. Every member is called by the owner's thread alone; only the work
// runs on the other. An error of the work is kept until the owner looks: begin(), wait_until_read()
// and finish() throw it once, as it was thrown.
class WriteBehind {
 public:
  // Calls `has_read` once it has read what the owner may change, then does the rest. It shares the
  // processor with the owner, so it must not open an OpenMP team of its own.
  using Work = std::function<void(const std::function<void()>& has_read)>;

  WriteBehind() = default;
  ~WriteBehind();  // waits for the end; an error that nobody looked for is lost
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Waits for the end of the work before, then starts `work` and returns.
  void begin(Work work);
  // Until the work has read everything, or failed.
  void wait_until_read();
  // Until the work has ended.
  void finish();
  // How long the work took that finish() waited for last.
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
