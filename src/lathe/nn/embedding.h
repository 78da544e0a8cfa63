// A table of vectors, looked up by id.
#pragma once

#include <optional>

#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

class Embedding : public Module {
 public:
  Embedding(int64_t rows, int64_t width, double init_std);

  // i32 [B,T] -> [B,T,width] of the table's dtype, or of `out_dtype`.
  Var forward(const Forward& f, const Tensor& ids, std::optional<DType> out_dtype = std::nullopt) const;

  std::string_view kind() const override { return "Embedding"; }
  void visit(ModuleVisitor& v) override { v.parameter("weight", weight); }

  Parameter weight;  // [rows, width]
};

}  // namespace lathe
