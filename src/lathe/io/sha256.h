// SHA-256 (FIPS 180-4), by OpenSSL: the hash under which others know a file. For Lathe's own artefacts see hash.h.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace lathe {

// Incremental; equal bytes give equal hashes however they are split.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view bytes);
  std::string hex() const;  // 64 digits, of everything so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of_text(std::string_view text);
// Reads the file in pieces. Throws kIo.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace lathe
