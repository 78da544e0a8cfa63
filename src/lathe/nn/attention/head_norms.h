// Norms of queries and keys before their product (QK norm), if the options enable them.
#pragma once

#include <memory>

#include "lathe/nn/attention/attention.h"

namespace lathe {

class HeadNorms {
 public:
  explicit HeadNorms(const AttentionShape& options);

  // x [N,H,D] -> the same shape: every head on its own, or all heads as one row.
  Var query(const Forward& f, const Var& x) const { return apply(f, query_.get(), x); }
  Var key(const Forward& f, const Var& x) const { return apply(f, key_.get(), x); }
  void visit(ModuleVisitor& v);  // query_norm, key_norm

 private:
  Var apply(const Forward& f, Norm* norm, const Var& x) const;

  QkNorm kind_;
  std::unique_ptr<Norm> query_, key_;
};

}  // namespace lathe
