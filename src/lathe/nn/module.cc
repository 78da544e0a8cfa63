#include "lathe/nn/module.h"

#include <vector>

#include "lathe/base/strings.h"

namespace lathe {
namespace {

class ParameterWalk : public ModuleVisitor {
 public:
  explicit ParameterWalk(const std::function<void(const std::string&, Parameter&)>& f) : f_(f) {}
  void enter(std::string_view name, std::string_view) override { path_.emplace_back(name); }
  void leave() override { path_.pop_back(); }
  void parameter(std::string_view name, Parameter& p) override {
    path_.emplace_back(name);
    f_(join(path_, "."), p);
    path_.pop_back();
  }

 private:
  const std::function<void(const std::string&, Parameter&)>& f_;
  std::vector<std::string> path_;
};

}  // namespace

void ModuleVisitor::child(std::string_view name, Module& module) {
  enter(name, module.kind());
  module.visit(*this);
  leave();
}

void for_each_parameter(Module& module,
                        const std::function<void(const std::string& path, Parameter&)>& f) {
  ParameterWalk walk(f);
  module.visit(walk);
}

}  // namespace lathe
