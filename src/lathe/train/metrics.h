// What a run measured: metrics.jsonl (one JSON object a line) and a TensorBoard event file in the
// same folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "lathe/io/tensorboard.h"
#include "lathe/train/step_lines.h"

namespace lathe {

class MetricsWriter {
 public:
  // Opens <folder>/metrics.jsonl and <folder>/tensorboard. Lines of steps after `last_step`
  // (written by a run that stopped before its next checkpoint) are removed first, so that every
  // step is there once. Throws kIo.
  MetricsWriter(const std::filesystem::path& folder, int64_t last_step);

  // `record` has "step"; its numbers also go to TensorBoard, within kFlushSeconds. The line is in
  // the file when this returns. JSON has no numbers that are not finite: they are written as the
  // strings "NaN", "Infinity" and "-Infinity", as in the JSON of protocol buffers.
  void write(const nlohmann::ordered_json& record);
  void flush() { board_.flush(); }
  // The step of the last line that has `key`; 0 if there is none.
  int64_t last_with(const std::string& key) const;
  // Whether the last line that has `key` is of this step.
  bool has_of(const std::string& key, int64_t step) const;
  struct Best {
    int64_t step;
    double loss;
    int64_t since;  // validations after it
  };
  // The lowest val_loss so far, the first of equal ones; nullopt if there is none.
  std::optional<Best> best_validation() const { return best_; }

 private:
  static constexpr double kFlushSeconds = 5;
  void note(const nlohmann::ordered_json& record);

  std::map<std::string, int64_t> last_;  // step of each key's last line
  std::optional<Best> best_;
  StepLines lines_;
  TensorBoardWriter board_;
  std::chrono::steady_clock::time_point flushed_ = std::chrono::steady_clock::now();
};

// A number as it is written in a line: as a string if it is not finite.
nlohmann::ordered_json spelled_number(double value);
// A number of a line, written as above; nullopt if there is none.
std::optional<double> metric_value(const nlohmann::ordered_json& record, const std::string& key);

}  // namespace lathe
