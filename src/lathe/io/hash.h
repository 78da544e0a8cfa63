// Content hashes: XXH3-128 (https://xxhash.com, the canonical big-endian hex form), for checking
// that a file is the expected one. They detect damage and mistakes, not forgery.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

// Incremental; equal bytes give equal hashes however they are split.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  std::string hex() const;  // 32 digits, of everything so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_bytes(std::span<const std::byte> bytes);
std::string hash_text(std::string_view text);

// Reads the file in pieces. Throws kIo.
std::string hash_file(const std::filesystem::path& path);

// The hash of whatever the path names: a file; a folder (names and contents of all files below it
// except manifests and temporaries); or the prefix of `<path>.bin` and `<path>.idx`. Throws kIo if
// it is none of these.
std::string hash_artefact(const std::filesystem::path& path);

}  // namespace lathe
