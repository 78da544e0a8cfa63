#include "lathe/model/gguf/encode_tensor.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"

namespace lathe {
namespace {

// Elements that a thread takes at a time.
constexpr int64_t kChunk = 1 << 16;

struct Place {
  const std::string& name;
  int64_t row;
};

void check_finite(std::span<const float> x, const Place& at, std::string_view problem) {
  const auto bad = std::ranges::find_if_not(x, [](float v) { return std::isfinite(v); });
  if (bad == x.end()) return;
  fail(ErrorKind::kData, at.name, "the element at row {}, column {} is {} {}", at.row,
       bad - x.begin(), *bad, problem);
}

double encode_row(std::span<const float> x, std::span<const float> importance,
                  const BlockType& type, const Place& at, std::span<std::byte> blocks,
                  std::span<float> decoded) {
  check_finite(x, at, "and cannot be quantised; mend the weights first");
  type.encode(x, importance, blocks);
  type.decode(blocks, decoded);
  check_finite(
      decoded, at,
      fmt::format("in {}, which cannot hold the weight; choose BF16 or F32 for this tensor "
                  "(--tensor)",
                  type.name));
  double squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = double{decoded[i]} - double{x[i]};
    squares += d * d;
  }
  return squares;
}

}  // namespace

EncodedTensor encode_tensor(const std::string& name, const Tensor& values, const BlockType& type,
                            std::span<const float> importance) {
  const Tensor in = values.contiguous() ? values : values.clone();
  const int64_t columns = in.size(-1), rows = in.numel() / std::max<int64_t>(1, columns);
  const int64_t parts = in.rank() == 3 ? in.size(0) : 1;
  require(importance.empty() || std::ssize(importance) == parts * columns, ErrorKind::kData,
          "importance",
          "'{}' has {} columns, but there are {} numbers for what they matter; they belong to "
          "another model",
          name, parts * columns, importance.size());
  const auto row_bytes = static_cast<size_t>(columns / type.block * type.bytes);
  EncodedTensor out;
  out.blocks.resize(static_cast<size_t>(rows) * row_bytes);
  const int64_t per_chunk = std::max<int64_t>(1, kChunk / std::max<int64_t>(1, columns));
  std::vector<double> errors(static_cast<size_t>((rows + per_chunk - 1) / per_chunk));
  const auto width = static_cast<size_t>(columns);
  parallel_dynamic(std::ssize(errors), [&](int64_t chunk, int) {
    std::vector<float> decoded(width);
    for (int64_t row = chunk * per_chunk; row < std::min(rows, (chunk + 1) * per_chunk); ++row) {
      const auto at = static_cast<size_t>(row);
      const size_t part = static_cast<size_t>(row * parts / rows);
      errors[static_cast<size_t>(chunk)] += encode_row(
          in.span<float>().subspan(at * width, width),
          importance.empty() ? importance : importance.subspan(part * width, width), type,
          {name, row}, std::span(out.blocks).subspan(at * row_bytes, row_bytes), decoded);
    }
  });
  for (const double error : errors) out.squared_error += error;
  return out;
}

Tensor decode_tensor(std::span<const std::byte> blocks, const BlockType& type, const Shape& shape) {
  Tensor out(shape, DType::kF32);
  type.decode(blocks, out.span<float>());
  return out;
}

}  // namespace lathe
