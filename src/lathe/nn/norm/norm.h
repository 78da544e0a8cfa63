// Normalisation layers and their catalogue.
#pragma once

#include <memory>
#include <span>

#include "lathe/base/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

struct NormOptions {
  int64_t width = 0;
  double eps = 1e-5;
  bool bias = false;
};

class Norm : public Module {
 public:
  virtual Var forward(const Forward& f, const Var& x) = 0;  // [.., C] -> [.., C]
};

using MakeNorm = std::unique_ptr<Norm> (*)(const NormOptions&);
std::span<const CatalogueEntry<MakeNorm>> norms();

// One function per file in norm/.
std::unique_ptr<Norm> make_rms_norm(const NormOptions& options);
std::unique_ptr<Norm> make_rms_norm_offset(const NormOptions& options);
std::unique_ptr<Norm> make_layer_norm(const NormOptions& options);
std::unique_ptr<Norm> make_crms_norm(const NormOptions& options);
std::unique_ptr<Norm> make_no_norm(const NormOptions& options);

}  // namespace lathe
