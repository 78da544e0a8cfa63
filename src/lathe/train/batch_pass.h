// A batch as a model is given it: the one place where rows become a forward pass, for training,
// validation and `lathe eval`.
#pragma once

#include <map>
#include <string>

#include "lathe/model/transformer.h"
#include "lathe/train/data_loader.h"

namespace lathe {

// The losses of labels, added up.
struct LossSum {
  int64_t labels = 0;
  double sum = 0;
  void add(double loss) { ++labels, sum += loss; }
  void add(const LossSum& more) { labels += more.labels, sum += more.sum; }
  double mean() const { return sum / static_cast<double>(labels); }
};

// By Row::kind, of formats that mix several.
using LossByKind = std::map<std::string, LossSum>;

// `losses`, one for each of batch.labels, to the sums of their rows' kinds.
void add_by_kind(const Batch& batch, const Tensor& losses, LossByKind& sums);

// What a pass over one batch needs to live as long as its results are used.
struct BatchPass {
  Forward forward;
  EncoderMemory memory;  // of bodies with an encoder
  Var hidden;            // [B,T,C], before the output head

  BatchPass(Transformer& model, Forward f, const Batch& batch, Recompute recompute);
  BatchPass(const BatchPass&) = delete;
  BatchPass& operator=(const BatchPass&) = delete;
};

}  // namespace lathe
