// The known prefixes of a cache on disk, so that a server that starts again need not read them
// again. docs/formats.md describes the file: safetensors with a hash of everything in it.
//
// Only what was computed without adapters is kept: a file of the base's prefixes serves whatever
// adapters are loaded next time.
//
// The keys and values in a file are right only for the model, the arithmetic and the kernels that
// made them; cache_identity() is a hash of all of these, and a file with another one is refused.
#pragma once

#include <filesystem>
#include <string>

#include "lathe/infer/paged_cache.h"

namespace lathe {

// Of the configuration, the weights, the type of activations and the instruction-set level.
std::string cache_identity(const Transformer& model);

// Writes every block without adapters that can be found. Returns how many entries of the index that are. Errors: kIo.
int64_t save_prefixes(const PagedCache& cache, const std::string& identity,
                      const std::filesystem::path& path);

// Adds the blocks of a file, as many as there are free blocks for, parents before their children;
// nothing if an error is found. Returns how many entries were added. Errors: kIo; kFormat for a file
// that is damaged, is not one of prefixes, or has another version, identity, block size or type of
// keys and values, or ids that are not below `vocabulary`.
int64_t load_prefixes(PagedCache& cache, const std::string& identity, int64_t vocabulary,
                      const std::filesystem::path& path);

}  // namespace lathe
