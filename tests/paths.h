// Where this build's tests find what they read. Paths are in one generated source, so that clones at other paths share
// the compiled tests.
#pragma once

#include <filesystem>
#include <string>

namespace lathe::testing {

std::filesystem::path tests_folder();  // tests/ of the sources
std::string built_program();           // the path of `lathe`

}  // namespace lathe::testing
