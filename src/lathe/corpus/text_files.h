// Which files a list of paths stands for.
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
  // Of the folders: how many files have each ending (".png") that is none of a text, and were left
  // out.
  std::map<std::string, int64_t> left_out;

  int64_t left_out_count() const;
  // "3 .png, 1 .pdf", the most frequent first, at most ten endings.
  std::string left_out_text() const;
};

// The files that `paths` name, folders searched through, each folder sorted by path. From a folder
// come the regular files whose ending is that of a text (text_format.h); hidden files and folders
// are not looked at. A path that was given itself is always taken. Throws kIo for one that does not
// exist, kData when nothing is found.
TextFiles list_text_files(std::span<const std::string> paths);

// Total size of the files in bytes, as they are on disk. A pipe counts as nothing.
int64_t total_bytes(std::span<const std::filesystem::path> files);

}  // namespace lathe
