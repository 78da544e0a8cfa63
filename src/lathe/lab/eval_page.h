// The page of an evaluation: what its folder (eval/run/) says, drawn, and its items to browse.
#pragma once

#include <filesystem>
#include <string>

namespace lathe {

// A whole HTML document. Errors: kIo, kData for a folder of no evaluation.
std::string eval_page(const std::filesystem::path& folder);

}  // namespace lathe
