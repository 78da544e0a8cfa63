#include "lathe/model/nf4.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/weight_map.h"
#include "lathe/tensor/blocks/bitsandbytes.h"

namespace lathe {
namespace {

bool is_linear(const DiskTensor& place) {
  const Parameter& p = *place.pieces.front().parameter;
  return p.rounds() && p.shape.rank() == 2 && !p.is_table && p.name != "head.weight";
}

void round_one(const DiskTensor& place, bool quantise_scales) {
  const Tensor stored = place.gather(value_of);
  // Rows are outputs, whichever way they are stored.
  const Tensor rows =
      (place.transposed ? stored.transpose(0, 1) : stored).to(DType::kF32).to(Device::kCpu).clone();
  require(std::ranges::all_of(rows.span<float>(), [](float v) { return std::isfinite(v); }),
          ErrorKind::kData, place.name,
          "has an element that is not finite and cannot be quantised; mend the weights first");
  round_to_nf4(rows.span<float>(), quantise_scales);
  place.scatter(place.transposed ? rows.transpose(0, 1) : rows, value_of);
}

}  // namespace

void round_to_nf4(Transformer& model, bool quantise_scales) {
  const std::vector<DiskTensor> places = map_weights(model);
  parallel_dynamic(std::ssize(places), [&](int64_t i, int) {
    const DiskTensor& place = places[static_cast<size_t>(i)];
    if (is_linear(place)) round_one(place, quantise_scales);
  });
}

}  // namespace lathe
