#include "lathe/optim/block_rounding.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "lathe/base/parallel.h"

namespace lathe::optim {

Tensor rounded_to_blocks(const Tensor& x, const BlockType& type) {
  const Tensor in = x.to(DType::kF32).to(Device::kCpu), out(x.shape(), DType::kF32);
  const auto columns = static_cast<size_t>(x.size(-1));
  constexpr int64_t kGrain = 1 << 12;  // elements worth a thread
  parallel_for(x.numel() / x.size(-1), std::max<int64_t>(1, kGrain / x.size(-1)), [&](int64_t row) {
    const size_t first = static_cast<size_t>(row) * columns;
    const auto from = std::as_const(in).span<float>().subspan(first, columns);
    const auto to = out.span<float>().subspan(first, columns);
    if (!std::ranges::all_of(from, [](float v) { return std::isfinite(v); })) {
      std::ranges::copy(from, to.begin());
      return;
    }
    std::vector<std::byte> blocks(columns / static_cast<size_t>(type.block) *
                                  static_cast<size_t>(type.bytes));
    type.encode(from, {}, blocks);
    type.decode(blocks, to);
  });
  return out;
}

}  // namespace lathe::optim
