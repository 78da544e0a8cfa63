// Makes an index of folders, and keeps it up with them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/documents/document_encoder.h"

namespace lathe {

struct IndexRequest {
  std::vector<std::filesystem::path> folders;  // or files
  std::filesystem::path out;
  DocumentEncoder* encoder = nullptr;  // null: words only
  int64_t chunk_tokens = 256, overlap = 32;
  // Called now and then with bytes read and their total; what it throws ends the work, of which everything that was
  // written so far is kept.
  std::function<void(int64_t done, int64_t total)> on_progress = [](int64_t, int64_t) {};
};

struct SkippedFile {
  std::string path, reason;
};

struct IndexReport {
  int64_t files = 0;  // in the index
  int64_t read = 0;   // of them, this time
  int64_t chunks = 0, tokens = 0;
  std::vector<SkippedFile> skipped = {};
};

// Reads what has changed since the last time, by its bytes, and forgets what is gone; files and folders whose names begin
// with a dot are passed by, and links to folders are not followed. The result is that of an index made at once. Every few
// megabytes what was read is written, so that work that was ended goes on from there.
// Errors: kUsage for folders that are not there; kConfig for another encoder or other sizes than the index was made with;
// those of open_index().
IndexReport update_index(const IndexRequest& request);

}  // namespace lathe
