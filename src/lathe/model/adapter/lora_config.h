// adapter_config.json of PEFT (https://github.com/huggingface/peft), for LoRA (Hu et al. 2021,
// arXiv:2106.09685).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/text/split/regex.h"

namespace lathe {

// What a value is for the modules whose names a pattern matches as a whole or behind a dot; the first
// pattern that does counts.
template <class T>
class ByModule {
 public:
  void add(Regex pattern, T value) { all_.emplace_back(std::move(pattern), value); }
  T of(std::string_view module, T otherwise) const {
    for (const auto& [pattern, value] : all_) {
      bool whole = false;
      pattern.for_each_match(module, [&](size_t begin, size_t end) {
        whole = whole || (begin == 0 && end == module.size());
      });
      if (whole) return value;
    }
    return otherwise;
  }

 private:
  std::vector<std::pair<Regex, T>> all_;
};

struct LoraConfig {
  std::string base;  // base_model_name_or_path; empty if the file does not say
  int64_t r = 8;
  double lora_alpha = 8;
  bool use_rslora = false;
  ByModule<int64_t> rank_pattern;
  ByModule<double> alpha_pattern;

  int64_t rank(std::string_view module) const { return rank_pattern.of(module, r); }
  // ΔW = scale · B·A: alpha / r, and alpha / √r with rsLoRA (Kalajdzievski 2023, arXiv:2312.03732).
  double scale(std::string_view module) const;
};

// Warns of keys that are not known and say something. Errors: kIo; kFormat for a value of the wrong
// type or outside its limits; kConfig for another kind of adapter, and for an option that Lathe does
// not support, by its name.
LoraConfig read_lora_config(const std::filesystem::path& file, const Log& log = {});

}  // namespace lathe
