// A type for each tensor so that the file is as good as possible for its size.
//
// What a type costs is measured for one tensor at a time: with all others as they are, the mean KL of
// the model's predictions for the tensor in its coarsest type. A tensor's KL grows with the square of
// its error, so for the other types it is scaled by their squared errors; and the costs of tensors
// are added up. Going from the coarsest types to the finest in the order of what a byte brings gives
// the curve of the best sizes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "lathe/model/gguf/importance.h"
#include "lathe/model/gguf/tensor_types.h"

namespace lathe {

struct TypeCost {
  const BlockType* type;
  int64_t bytes;
  double kl;
};
struct TensorCosts {
  std::string name;
  std::vector<TypeCost> types;  // that its rows fit, none of which is both larger and worse
};

struct SensitivityOptions {
  const Importances* importances = nullptr;
  int64_t window = 256, windows = 2;                // at most, of the text
  std::function<void(int64_t done)> progress = {};  // tensors; may throw
};

// The costs of the tensors that do not stay F32. The model's values are changed meanwhile and put back;
// they must be its own memory. Throws kData for a text of fewer tokens than a window.
std::vector<TensorCosts> measure_costs(Transformer& model, const std::vector<DiskTensor>& tensors,
                                       std::span<const int32_t> text,
                                       const SensitivityOptions& options);

// Those of the first point of the curve below, whatever the costs.
std::map<std::string, const BlockType*> smallest_types(const std::vector<DiskTensor>& tensors);

struct BudgetPoint {
  int64_t bytes;  // of the tensors that do not stay F32
  double kl;      // predicted
  std::map<std::string, const BlockType*> types;
};
// From the smallest to the largest: each point changes one tensor.
std::vector<BudgetPoint> size_curve(const std::vector<TensorCosts>& costs);

}  // namespace lathe
