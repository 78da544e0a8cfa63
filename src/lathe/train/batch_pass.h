// Batches of rows as inputs of a model, and the sums of their losses.
#pragma once

#include <map>
#include <string>

#include "lathe/model/model_pass.h"
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

// A batch as a model is given it.
ModelInputs inputs_of(const Batch& batch);

}  // namespace lathe
