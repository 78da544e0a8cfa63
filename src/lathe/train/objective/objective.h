// Objectives: what a model is given of a piece of text, and what it is to say, and their catalogue.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/config/visit.h"
#include "lathe/model/model_config.h"
#include "lathe/base/catalogue.h"

namespace lathe {

// The section [objective] of a recipe.
struct ObjectiveConfig {
  std::optional<std::string> name;  // default: what the body is made for, see objective_name()
  double mask_rate = 0.15;
  double mean_span = 3.0;
  int64_t sentinels = 100;
  std::optional<int64_t> mask_token_id;
  std::vector<int64_t> mode_token_ids = {};
  double further_weight = 0.3;
  double z_loss = 0.0;
  void visit(Visitor& v);
};

// One row of a batch.
struct Example {
  std::vector<int32_t> text = {};  // what an encoder beside the model reads
  std::vector<int32_t> ids = {};
  std::vector<int32_t> labels = {};  // of each id; -1: no loss
  int64_t prefix = 0;                // ids that see each other
  std::string_view kind = {};        // of an objective that mixes several; lives as long as it
};

// What an objective makes its examples for.
struct ObjectiveOptions {
  ObjectiveConfig config = {};
  Body body = {};
  int64_t vocab_size = 0;
  int64_t seq_len = 0;
  std::optional<int64_t> eos_token_id = {}, decoder_start = {};
};

// Stateless and thread-safe: an example is a function of its tokens and its random stream.
class Objective {
 public:
  virtual ~Objective() = default;
  // From seq_len + 1 consecutive tokens. Error kData for tokens that the objective needs itself.
  virtual Example example(std::span<const int32_t> tokens, const Rng& rng) const = 0;
  // The longest that `text` and `ids` can be.
  struct Lengths {
    int64_t text = 0, ids = 0;
  };
  virtual Lengths longest() const = 0;
};

struct ObjectiveFor {
  std::vector<std::string_view> bodies;  // that it can train; the default of the first
  std::unique_ptr<Objective> (*make)(const ObjectiveOptions&);
};
std::span<const CatalogueEntry<ObjectiveFor>> objectives();

// The objective's name, or the default of the body.
std::string objective_name(const ObjectiveConfig& config, const ModelConfig& model);
// Errors: kConfig for an objective that does not fit the body, the vocabulary or seq_len.
std::unique_ptr<Objective> make_objective(const ObjectiveConfig& config, const ModelConfig& model,
                                          int64_t seq_len);

// The row in which a model is given `inputs` and is to say `targets`: in the encoder and the
// decoder, or one behind the other, the inputs as prefix where the body has one.
Example join_row(const ObjectiveOptions& options, std::span<const int32_t> inputs,
                 std::span<const int32_t> targets);
Objective::Lengths joined_lengths(const ObjectiveOptions& options, int64_t inputs, int64_t targets);

// One function per file in objective/.
std::unique_ptr<Objective> make_next_token(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_prefix_lm(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_span_corruption(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_ul2(const ObjectiveOptions& options);
std::unique_ptr<Objective> make_masked_lm(const ObjectiveOptions& options);

}  // namespace lathe
