// A progress bar on stderr: on a terminal one line that is redrawn, otherwise a plain line every
// few seconds, or nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace lathe {

struct ProgressStyle {
  enum class Kind { kOff, kBar, kLines };
  Kind kind = Kind::kOff;
  std::ostream* out = nullptr;
  int width = 80;  // columns of the terminal
};

// A bar when `file_descriptor` is a terminal, else lines.
ProgressStyle progress_style_for(int file_descriptor, std::ostream& out);

struct ProgressState {
  std::string_view label = {};  // "encoding"
  double done = 0, total = 0;   // total 0: unknown
  std::string_view unit = {};   // "B" counts bytes, "" plain, else a word: "steps", "tokens"
  double seconds = 0;           // since the start
  std::string_view note = {};   // "loss 3.21"
};

// "encoding  42% ████▌      12.3 MiB/29.1 MiB  4.1 MiB/s  eta 4s  note", at most `width` columns.
std::string progress_bar(const ProgressState& state, int width);
// The same without the bar.
std::string progress_line(const ProgressState& state);

// Not thread-safe: updated by the thread that drives the loop.
class Progress {
 public:
  Progress(const ProgressStyle& style, std::string label, double total, std::string unit);
  ~Progress();  // leaves the terminal on a fresh line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap to call often: draws at most ten times a second, or a line every five seconds.
  void update(double done, std::string_view note = {});
  // Draws the last state and ends the line.
  void finish(std::string_view note = {});
  double seconds() const;

 private:
  void draw(bool last);

  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;
  std::string label_, unit_, note_;
  double done_ = 0, total_;
  Clock::time_point start_, next_draw_;
  bool line_open_ = false, finished_ = false;
};

}  // namespace lathe
