// The tree of a model: every module lists its parameters and children once, in visit(). Names,
// initialisation, checkpoints, weight maps, `lathe inspect` and the generic tests follow from that
// list.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lathe/nn/parameter.h"

namespace lathe {

class Module;

class ModuleVisitor {
 public:
  virtual ~ModuleVisitor() = default;
  // `kind` is the name of the module's type for display: "Linear", "RMSNorm".
  virtual void enter(std::string_view name, std::string_view kind) = 0;
  virtual void parameter(std::string_view name, Parameter& p) = 0;
  virtual void leave() = 0;

  void child(std::string_view name, Module& module);
};

class Module {
 public:
  virtual ~Module() = default;
  virtual std::string_view kind() const = 0;
  virtual void visit(ModuleVisitor& v) = 0;
};

// A tensor shaped like a parameter: its value, its gradient.
using TensorOf = std::function<const Tensor&(Parameter&)>;

// f(path, parameter) for every parameter below `module` in the order of its lists; path joins names
// with '.'.
void for_each_parameter(Module& module,
                        const std::function<void(const std::string& path, Parameter&)>& f);

}  // namespace lathe
