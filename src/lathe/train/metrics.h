// What a run measured: metrics.jsonl (one JSON object a line) and a TensorBoard event file beside
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "lathe/io/descriptor.h"
#include "lathe/io/tensorboard.h"

namespace lathe {

class MetricsWriter {
 public:
  // Opens <folder>/metrics.jsonl and <folder>/tensorboard. Lines of steps after `last_step`
  // (written by a run that stopped before its next checkpoint) are removed first, so that every
  // step is there once. kIo.
  MetricsWriter(const std::filesystem::path& folder, int64_t last_step);

  // `record` has "step"; its numbers also go to TensorBoard. The line is in the file when this
  // returns.
  void write(const nlohmann::ordered_json& record);
  void flush() { board_.flush(); }

 private:
  std::filesystem::path path_;
  Descriptor file_;
  TensorBoardWriter board_;
};

}  // namespace lathe
