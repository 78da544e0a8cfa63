// The text files that a list of paths refers to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct TextFiles {
  std::vector<std::filesystem::path> files;
  // The number of files in folders that were skipped, by extension (".png"), because it is not that
  // of a text.
  std::map<std::string, int64_t> left_out;

  int64_t left_out_count() const;
  // "3 .png, 1 .pdf", the most frequent first, at most ten endings.
  std::string left_out_text() const;
};

// The files that `paths` name; folders are searched, each folder sorted by path. A folder
// contributes the regular files with the extension of a text (text_format.h); hidden files and
// folders are ignored. A path that was given itself is always included. Throws kIo for one that
// does not exist, kData if nothing is found.
TextFiles list_text_files(std::span<const std::string> paths);

// Total size of the files on disk in bytes. A pipe counts as 0.
int64_t total_bytes(std::span<const std::filesystem::path> files);

}  // namespace lathe
