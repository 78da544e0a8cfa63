#include "lathe/io/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/io/descriptor.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

std::string hex_of(XXH128_hash_t hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_folder(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && name != "lathe.manifest.json" &&
        name.find(".tmp-") == std::string::npos)
      names.push_back(entry.path().lexically_relative(folder).generic_string());
  }
  std::sort(names.begin(), names.end());
  Hasher hasher;
  for (const auto& name : names) {
    hasher.update(name);
    hasher.update(std::string_view("\0", 1));
    hasher.update(hash_file(folder / name));
  }
  return hasher.hex();
}

}  // namespace

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh);
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::string Hasher::hex() const { return hex_of(XXH3_128bits_digest(state_->xxh)); }

std::string hash_bytes(std::span<const std::byte> bytes) {
  return hex_of(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash_text(std::string_view text) { return hash_bytes(std::as_bytes(std::span(text))); }

std::string hash_file(const fs::path& path) {
  const Descriptor file = open_to_read(path);
  std::vector<char> buffer(1 << 20);
  Hasher hasher;
  while (const size_t got = read_some(file, buffer, path))
    hasher.update(std::string_view(buffer.data(), got));
  return hasher.hex();
}

std::string hash_artefact(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return hash_folder(path);
  if (fs::exists(path, error)) {
    require(fs::is_regular_file(path, error), ErrorKind::kIo, path.string(),
            "is a device or a pipe, which has no fixed content to hash; copy it to a file first");
    return hash_file(path);
  }
  fs::path bin = path, idx = path;
  bin += ".bin";
  idx += ".idx";
  require(fs::exists(bin, error) && fs::exists(idx, error), ErrorKind::kIo, path.string(),
          "does not exist, neither as a file or folder nor as the prefix of .bin and .idx");
  return hash_text(hash_file(bin) + hash_file(idx));
}

}  // namespace lathe
