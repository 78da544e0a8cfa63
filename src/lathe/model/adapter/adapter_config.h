// What an adapter is: adapter_config.json of PEFT (https://github.com/huggingface/peft), and the
// section [adapter] of a recipe, which has the same keys.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/config/component.h"

namespace lathe {

// The one kind that has only values in place of the model's own (Zhao et al. 2023, arXiv:2312.11420).
inline constexpr std::string_view kNormTuning = "LN_TUNING";

struct AdapterConfig {
  AdapterConfig();

  std::string peft_type = "LORA";
  std::optional<std::string> base_model_name_or_path, task_type;
  // What it acts on. Names are the end of a module's name behind a dot; a single entry may be a
  // regular expression for whole names, or "all-linear".
  std::vector<std::string> target_modules, exclude_modules, target_parameters, modules_to_save,
      layers_pattern;
  std::vector<int64_t> layers_to_transform, trainable_token_indices;
  std::string bias = "none";
  bool ensure_weight_tying = false;
  // Keys that several kinds have; each has its defaults.
  std::optional<int64_t> r;
  std::optional<double> lora_alpha, alpha;
  // "PATTERN=VALUE": for modules whose names the expression matches as a whole or behind a dot, the
  // first that does. AdaLoRA's ranks are the ones that are left: "MODULE=1101".
  std::vector<std::string> rank_pattern, alpha_pattern;
  std::string init_weights = "true";
  int64_t num_virtual_tokens = 20;
  std::optional<int64_t> encoder_hidden_size;
  ComponentConfigs modules, prompts;  // of the kinds: module_adapter.h, prompt_encoder.h

  void visit(Visitor& v);

  bool is_prompt() const;  // tokens or keys before the text, of prompt_encoders()
  bool is_norm_tuning() const { return peft_type == kNormTuning; }
  // Of one module. For AdaLoRA the number of ranks left.
  int64_t rank_of(std::string_view module, int64_t usual) const;
  double alpha_of(std::string_view module, double usual) const;
};

// The names of all kinds.
std::vector<std::string> adapter_kinds();

// Keys that only training reads are left alone, and one warning names those that are not known and
// say something. Errors: kIo; kFormat for patterns that are none; kConfig for a value of the wrong type
// or outside its limits, for a kind that is not known, and for an option that changes what is computed
// and is not supported, by its name.
AdapterConfig read_adapter_config(const std::filesystem::path& file, const Log& log = {});

// Writes what PEFT reads. Errors: kIo.
void write_adapter_config(const std::filesystem::path& file, const AdapterConfig& config,
                          const std::vector<std::pair<std::string, int64_t>>& sizes = {});

// Error kConfig for what cannot work whatever the model: a kind that is not known, a pattern that is
// none. `where` names what has it.
void check(const AdapterConfig& config, std::string_view where = "adapter");

}  // namespace lathe
