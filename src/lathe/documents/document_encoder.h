// What turns texts into vectors for an index.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lathe {

// Used by one thread at a time.
class DocumentEncoder {
 public:
  virtual ~DocumentEncoder() = default;
  // Encoders with the same one give the same vectors.
  virtual std::string identity() const = 0;
  virtual std::string path() const = 0;  // where it was loaded from, to be found again
  virtual int64_t dimensions() const = 0;
  virtual int64_t tokens(std::string_view text) const = 0;
  // A vector of length 1 for each text, one behind the other; a text that is too long is cut.
  virtual void encode(std::span<const std::string> texts, float* out) = 0;
};

}  // namespace lathe
