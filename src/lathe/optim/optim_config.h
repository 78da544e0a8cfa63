// The [optim] section of a recipe.
#pragma once

#include <string>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/optim/adafactor.h"
#include "lathe/optim/muon.h"

namespace lathe {

std::vector<std::string> optimizer_names();

struct OptimConfig {
  std::string name = "adamw";
  double lr = 3e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double table_lr_ratio = 1.0;
  double weight_decay = 0.1;
  std::vector<std::string> lr_by_name = {}, decay_by_name = {};
  double grad_clip = 1.0;
  MuonConfig muon;
  AdafactorConfig adafactor;

  template <class V>
  void visit(V& v) {
    const Limits decay_rate{.minimum = 0, .maximum = 1, .exclusive_maximum = true};
    v.choice("name", name, optimizer_names(), "optimiser", when_resumed(OnResume::kAnother));
    v.field("lr", lr, "peak learning rate", at_least(0));
    v.field("beta1", beta1, "decay of the mean of gradients (adamw, lion)", decay_rate);
    v.field("beta2", beta2, "decay of the mean of squares (adamw), of the momentum (lion)",
            decay_rate);
    v.field("eps", eps, "added to the root of the mean of squares (adamw)", above(0));
    v.field("table_lr_ratio", table_lr_ratio,
            "learning rate of the embedding and output tables over lr (adamw, and where muon uses "
            "it)",
            at_least(0));
    v.field("weight_decay", weight_decay,
            "decoupled decay of parameters with two or more dimensions, times the learning rate",
            at_least(0));
    v.field("lr_by_name", lr_by_name,
            "factor on lr for parameters matched by name, \"embedding.*:0.5\"; the last rule that "
            "matches counts");
    v.field("decay_by_name", decay_by_name,
            "weight decay of parameters by name, \"*.bias:0.1\", in place of weight_decay");
    v.field("grad_clip", grad_clip, "largest global gradient norm; 0 does not clip", at_least(0));
    v.group("muon", muon, "muon only");
    v.group("adafactor", adafactor, "adafactor only");
  }
};

}  // namespace lathe
