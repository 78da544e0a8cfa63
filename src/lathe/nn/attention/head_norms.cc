#include "lathe/nn/attention/head_norms.h"

#include "lathe/ops/attention.h"
#include "lathe/ops/elementwise.h"

namespace lathe {

HeadNorms::HeadNorms(const AttentionShape& o) : kind_(o.qk_norm) {
  if (kind_ == QkNorm::kNone) return;
  const auto width = [&](int64_t heads) {
    return kind_ == QkNorm::kFull ? heads * o.head_dim : o.head_dim;
  };
  query_ = o.make_norm({.width = width(o.heads), .eps = o.norm_eps});
  key_ = o.make_norm({.width = width(o.kv_heads), .eps = o.norm_eps});
}

Var HeadNorms::apply(const Forward& f, Norm* norm, const Var& x) const {
  if (norm == nullptr) return x;
  const Var rows = ops::contiguous(x);
  if (kind_ == QkNorm::kHead) return norm->forward(f, rows);
  return ops::split_heads(norm->forward(f, ops::merge_heads(rows)), x.shape()[1]);
}

void HeadNorms::visit(ModuleVisitor& v) {
  if (query_) v.child("query_norm", *query_);
  if (key_) v.child("key_norm", *key_);
}

}  // namespace lathe
