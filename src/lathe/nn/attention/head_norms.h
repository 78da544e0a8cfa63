// Norms of queries and keys before they meet (QK norm), where the options ask for them.
#pragma once

#include <memory>

#include "lathe/nn/attention/attention.h"

namespace lathe {

class HeadNorms {
 public:
  explicit HeadNorms(const AttentionShape& options);

  // x [N,H,D] -> the same shape: every head alone, or all of them as one row.
  Var query(const Forward& f, const Var& x) const { return apply(f, query_.get(), x); }
  Var key(const Forward& f, const Var& x) const { return apply(f, key_.get(), x); }
  void visit(ModuleVisitor& v);  // query_norm, key_norm

 private:
  Var apply(const Forward& f, Norm* norm, const Var& x) const;

  QkNorm kind_;
  std::unique_ptr<Norm> query_, key_;
};

}  // namespace lathe
