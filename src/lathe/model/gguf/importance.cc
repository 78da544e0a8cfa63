#include "lathe/model/gguf/importance.h"

#include "lathe/model/family.h"
#include "lathe/model/gguf/architecture.h"

namespace lathe {
namespace {

struct Sum {
  std::vector<double> squares;
  int64_t rows = 0;

  void add(const Tensor& x) {
    const int64_t columns = x.size(1);
    squares.resize(static_cast<size_t>(columns));
    for (int64_t row = 0; row < x.size(0); ++row) {
      const float* values = x.data<float>() + row * columns;
      for (int64_t c = 0; c < columns; ++c)
        squares[static_cast<size_t>(c)] += double{values[c]} * double{values[c]};
    }
    rows += x.size(0);
  }
};

std::vector<float> means(const Sum& sum) {
  std::vector<float> out;
  for (const double squares : sum.squares)
    out.push_back(static_cast<float>(squares / static_cast<double>(sum.rows)));
  return out;
}

}  // namespace

std::span<const float> importance_of(const Importances* all, const std::string& name) {
  if (all == nullptr) return {};
  const auto found = all->find(name);
  return found == all->end() ? std::span<const float>() : found->second;
}

Importances calibrate(Transformer& model, std::span<const int32_t> text,
                      const CalibrationOptions& options) {
  const auto tensors = map_weights(model, gguf_architecture_of(model.config()));
  std::map<const Parameter*, Sum> sums;
  show_inputs(model, text, options,
              [&](const Parameter& weight, const Tensor& x) { sums[&weight].add(x); });
  Importances out;
  for (const DiskTensor& t : tensors)
    if (const auto sum = sums.find(t.pieces.front().parameter);
        sum != sums.end() && t.shape.rank() == 2)
      out[t.name] = means(sum->second);
  return out;
}

}  // namespace lathe
