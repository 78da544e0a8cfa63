// The folders in which runs and evaluations lie.
#pragma once

#include <filesystem>
#include <functional>
#include <system_error>
#include <vector>

namespace lathe {

// Calls `visit` once for each folder at and below the roots, parents first. Not searched are links, hidden folders, and of a
// training run (a folder with a metrics.jsonl) its checkpoints, model, adapter and TensorBoard files. `unreadable` is called for
// a folder that cannot be listed. Errors: kIo for a root that is not a folder.
void visit_folders(
    const std::vector<std::filesystem::path>& roots,
    const std::function<void(const std::filesystem::path&)>& visit,
    const std::function<void(const std::filesystem::path&, const std::error_code&)>& unreadable);

// Where to search without an argument: runs, or else the current folder.
std::vector<std::filesystem::path> searched_folders(const std::vector<std::string>& given);

}  // namespace lathe
