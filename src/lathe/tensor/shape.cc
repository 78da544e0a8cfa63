#include "lathe/tensor/shape.h"

#include <algorithm>

#include "lathe/base/error.h"

namespace lathe {

Shape::Shape(std::span<const int64_t> dims) {
  require(dims.size() <= kMaxRank, ErrorKind::kShape, "shape",
          "{} dimensions, at most {} are supported", dims.size(), kMaxRank);
  for (int64_t d : dims) {
    require(d >= 0, ErrorKind::kShape, "shape", "negative dimension {}", d);
    dims_[rank_++] = d;
  }
  __extension__ typedef __int128 Wide;
  Wide total = 1;
  for (int64_t d : dims) {
    total *= d;
    require(total <= (int64_t{1} << 56), ErrorKind::kShape, "shape", "{} elements are too many",
            *this);
  }
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(dims(), other.dims());
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dims(), ", ")); }

}  // namespace lathe
