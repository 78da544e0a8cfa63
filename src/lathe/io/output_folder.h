// The one rule for folders that a command writes: what is there already stays, unless it is asked to
// be replaced and is nothing but a model folder.
#pragma once

#include <filesystem>
#include <vector>

#include "lathe/io/atomic_file.h"

namespace lathe {

struct OutputFolder {
  std::filesystem::path path;
  bool overwrite = false;                           // replace a folder that is there
  std::vector<std::filesystem::path> sources = {};  // what is read meanwhile
};

// A folder to write into, whose content appears under `path` with commit(). A folder that is there is
// replaced with `overwrite` if it is empty or a model folder: a config.json or a manifest of Lathe's,
// and beside it only files of the kinds that belong to one (weights, tokenizer, chat template).
// Error kUsage, before anything is written, for a path that is a source or lies around one; kIo for
// one that is a file, exists without `overwrite`, or holds something else.
AtomicDirectory make_output_folder(const OutputFolder& output);

}  // namespace lathe
