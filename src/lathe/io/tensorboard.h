// TensorBoard event files: TFRecord frames (u64 length, masked CRC-32C of it, bytes, masked CRC-32C
// of them), each holding an Event message. Shown by `tensorboard --logdir FOLDER`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "lathe/io/descriptor.h"

namespace lathe {

// Appends to its own file, named by time, host and process, so a resumed run adds a file and
// TensorBoard joins them. Records are complete when written; flush() passes them to the system.
// Throws kIo when that fails. Not thread-safe.
class TensorBoardWriter {
 public:
  // Creates the folder if it is missing. Records of `first_step` and later steps in earlier files
  // of the folder are no longer shown, so that a run that was killed and continued has each step
  // once.
  TensorBoardWriter(const std::filesystem::path& folder, int64_t first_step);
  // Flushes what is left; a failure is ignored, so call flush() where it matters.
  ~TensorBoardWriter();
  TensorBoardWriter(const TensorBoardWriter&) = delete;
  TensorBoardWriter& operator=(const TensorBoardWriter&) = delete;

  void scalar(std::string_view tag, int64_t step, double value);
  void text(std::string_view tag, int64_t step, std::string_view markdown);
  void flush();
  const std::filesystem::path& path() const { return path_; }

 private:
  void append_record(const std::string& message);

  std::filesystem::path path_;
  Descriptor file_;
  std::string buffer_;
};

}  // namespace lathe
