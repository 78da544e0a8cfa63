// The one rule for folders that a command writes: existing content is kept, unless the user asks to
// replace it and it is nothing but a folder of a model or of an adapter.
#pragma once

#include <filesystem>
#include <vector>

#include "lathe/io/atomic_file.h"

namespace lathe {

struct OutputFolder {
  std::filesystem::path path;
  bool overwrite = false;                           // replace an existing folder
  std::vector<std::filesystem::path> sources = {};  // what the command reads
};

// A folder to write into, whose content appears under `path` with commit(). With `overwrite` an
// existing folder is replaced if it is empty or a folder of a model or an adapter: a config.json, an
// adapter_config.json or a manifest of Lathe's, and otherwise only files of the kinds that belong to
// one (weights, tokenizer, chat template). Throws kUsage, before anything is written, for a path that is a source or contains
// one; kIo for one that is a file, exists without `overwrite`, or holds something else.
AtomicDirectory make_output_folder(const OutputFolder& output);

}  // namespace lathe
