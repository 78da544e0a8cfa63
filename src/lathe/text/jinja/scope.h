// The variables that a place in a template sees.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/text/jinja/value.h"

namespace lathe::jinja {

// Loops, macros and blocks have one each, which ends with them. Names are those of the tree or of the
// variables given, which outlive it.
class Scope {
 public:
  explicit Scope(std::shared_ptr<const Scope> outer) : outer_(std::move(outer)) {}

  void set(std::string_view name, Value value) {
    for (auto& [known, held] : variables_)
      if (known == name) return void(held = std::move(value));
    variables_.emplace_back(name, std::move(value));
  }
  // From here outwards; nullptr for none.
  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_.get())
      for (const auto& [known, value] : scope->variables_)
        if (known == name) return &value;
    return nullptr;
  }

 private:
  const std::shared_ptr<const Scope> outer_;
  std::vector<std::pair<std::string_view, Value>> variables_;
};

}  // namespace lathe::jinja
