#include <vector>

#include "lathe/kernels/quantized/packed_rows.h"
#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void quantized_matmul(const TensorView& x_view, const PackedParts& w, const TensorView& bias_view,
                      const TensorView& y_view) {
  const Array x(x_view), bias(bias_view), y(y_view);
  int64_t column = 0;
  for (const PackedRows& part : w.parts) {
    std::vector<float> row(static_cast<size_t>(part.columns));
    for (int64_t r = 0; r < part.rows; ++r, ++column) {
      unpack_row(part, r, row);
      for (int64_t n = 0; n < y.size(0); ++n) {
        double sum = bias ? bias(column) : 0;
        for (int64_t k = 0; k < part.columns; ++k) sum += x(n, k) * row[static_cast<size_t>(k)];
        y.set(sum, n, column);
      }
    }
  }
}

}  // namespace lathe::kernels::ref
