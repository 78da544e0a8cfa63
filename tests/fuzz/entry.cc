// What libFuzzer calls. `NAME_fuzz seeds FOLDER` writes the target's seeds instead of fuzzing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string_view((*argv)[1]) != "seeds") return 0;
  const std::filesystem::path folder = (*argv)[2];
  std::filesystem::create_directories(folder);
  for (const lathe::fuzz::Seed& seed : lathe::fuzz::seeds())
    std::ofstream(folder / seed.name, std::ios::binary) << seed.bytes;
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    lathe::fuzz::check({reinterpret_cast<const char*>(data), size});
  } catch (const lathe::Error&) {
  }
  return 0;
}
