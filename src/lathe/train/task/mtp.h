// Multi-token prediction: module d of a model predicts the token d places after the next one
// (DeepSeek-AI 2024, arXiv:2412.19437, section 2.2).
//
//   loss ← loss + Σ_d w/D · (sum over labels of the cross entropy of module d) / normalizer
#pragma once

#include "lathe/model/model_pass.h"
#include "lathe/train/data_loader.h"

namespace lathe {

// The cross entropies of all modules in nats, added up without the weight.
struct MtpLoss {
  double sum = 0;
  int64_t labels = 0;
};

// `loss` of `hidden` [N,C], which `pass` made from `batch`, with the losses of the model's
// `modules` added in total weight `weight`; also adds them to `total`.
Var add_mtp_loss(const ModelPass& pass, int64_t modules, const Batch& batch, Var hidden, Var loss,
                 double normalizer, double weight, MtpLoss& total);

}  // namespace lathe
