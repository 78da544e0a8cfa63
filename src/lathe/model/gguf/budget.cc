#include "lathe/model/gguf/budget.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/model/divergence.h"
#include "lathe/model/gguf/encode_tensor.h"

namespace lathe {
namespace {

// The corners of the lower convex hull of (bytes, kl), smallest first: what lies above it is never
// the best use of a byte.
std::vector<TypeCost> hull(std::vector<TypeCost> costs) {
  std::ranges::sort(costs, [](const TypeCost& a, const TypeCost& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.kl < b.kl;
  });
  const auto gain = [](const TypeCost& a, const TypeCost& b) {
    return (a.kl - b.kl) / static_cast<double>(b.bytes - a.bytes);
  };
  std::vector<TypeCost> out;
  for (const TypeCost& next : costs) {
    if (!out.empty() && (next.bytes == out.back().bytes || next.kl >= out.back().kl)) continue;
    while (out.size() >= 2 && gain(out[out.size() - 2], out.back()) <= gain(out.back(), next))
      out.pop_back();
    out.push_back(next);
  }
  return out;
}

// Types that are written for matrices with these rows.
std::vector<const BlockType*> candidates(const Shape& shape) {
  std::vector<const BlockType*> out;
  for (const BlockType& type : block_types())
    if (type.encode != nullptr && type.name != "F32" && type.name != "BF16" &&
        shape[shape.rank() - 1] % type.block == 0)
      out.push_back(&type);
  return out;
}

class Sensitivity {
 public:
  Sensitivity(Transformer& model, std::span<const int32_t> text, const SensitivityOptions& options)
      : model_(model), options_(options) {
    const auto width = static_cast<size_t>(model.window_of(options.window));
    require(text.size() >= width, ErrorKind::kData, "budget",
            "the text to measure on has {} tokens, expected at least {}; give a longer one",
            text.size(), width);
    const size_t count = std::min(text.size() / width, static_cast<size_t>(options.windows));
    for (size_t i = 0; i < count; ++i) {
      const auto part = text.subspan(i * width, width);
      windows_.emplace_back(part.begin(), part.end());
      original_.push_back(next_token_logits(model, windows_.back()));
    }
  }

  TensorCosts of(const DiskTensor& tensor) {
    TensorCosts out{tensor.name, {}};
    const Tensor original = tensor.gather(value_of).to(DType::kF32).clone();
    const auto importance = importance_of(options_.importances, tensor.name);
    const BlockType* coarsest = nullptr;
    EncodedTensor worst;
    for (const BlockType* type : candidates(tensor.shape)) {
      EncodedTensor encoded = encode_tensor(tensor.name, original, *type, importance);
      out.types.push_back({type, bytes_in(*type, tensor.shape), encoded.squared_error});
      if (coarsest != nullptr && encoded.squared_error <= worst.squared_error) continue;
      coarsest = type;
      worst = std::move(encoded);
    }
    tensor.scatter(decode_tensor(worst.blocks, *coarsest, tensor.shape), value_of);
    const double for_an_error = worst.squared_error > 0 ? mean_kl() / worst.squared_error : 0.0;
    tensor.scatter(original, value_of);
    for (TypeCost& cost : out.types) cost.kl *= for_an_error;
    out.types = hull(std::move(out.types));
    return out;
  }

 private:
  double mean_kl() const {
    double sum = 0;
    for (size_t i = 0; i < windows_.size(); ++i)
      sum += mean_divergence(original_[i], next_token_logits(model_, windows_[i]));
    return sum / static_cast<double>(windows_.size());
  }

  Transformer& model_;
  const SensitivityOptions& options_;
  std::vector<std::vector<int32_t>> windows_;
  std::vector<Tensor> original_;
};

}  // namespace

std::vector<TensorCosts> measure_costs(Transformer& model, const std::vector<DiskTensor>& tensors,
                                       std::span<const int32_t> text,
                                       const SensitivityOptions& options) {
  Sensitivity sensitivity(model, text, options);
  std::vector<TensorCosts> out;
  for (const DiskTensor& tensor : tensors) {
    if (stays_f32(tensor)) continue;
    out.push_back(sensitivity.of(tensor));
    if (options.progress) options.progress(std::ssize(out));
  }
  return out;
}

std::map<std::string, const BlockType*> smallest_types(const std::vector<DiskTensor>& tensors) {
  std::map<std::string, const BlockType*> out;
  for (const DiskTensor& tensor : tensors)
    if (!stays_f32(tensor))
      out[tensor.name] = std::ranges::min(candidates(tensor.shape), {}, &BlockType::bits);
  return out;
}

std::vector<BudgetPoint> size_curve(const std::vector<TensorCosts>& costs) {
  struct Step {
    const TensorCosts* tensor;
    size_t to;
    double gain;  // KL for a byte
  };
  std::vector<Step> steps;
  BudgetPoint at{0, 0, {}};
  for (const TensorCosts& tensor : costs) {
    at.bytes += tensor.types.front().bytes;
    at.kl += tensor.types.front().kl;
    at.types[tensor.name] = tensor.types.front().type;
    for (size_t to = 1; to < tensor.types.size(); ++to) {
      const TypeCost &a = tensor.types[to - 1], &b = tensor.types[to];
      steps.push_back({&tensor, to, (a.kl - b.kl) / static_cast<double>(b.bytes - a.bytes)});
    }
  }
  std::ranges::stable_sort(steps, std::ranges::greater(), &Step::gain);
  std::vector<BudgetPoint> curve = {at};
  for (const Step& step : steps) {
    const TypeCost &a = step.tensor->types[step.to - 1], &b = step.tensor->types[step.to];
    at.bytes += b.bytes - a.bytes;
    at.kl += b.kl - a.kl;
    at.types[step.tensor->name] = b.type;
    curve.push_back(at);
  }
  return curve;
}

}  // namespace lathe
