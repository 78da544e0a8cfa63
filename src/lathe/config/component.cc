#include "lathe/config/component.h"

#include <fmt/format.h>

namespace lathe {
namespace {

// Whether a configuration has any key: a group without keys would be an empty section of the docs.
class CountFields : public Visitor {
 public:
  int count = 0;

 private:
  void on_field(const FieldSpec&) override { ++count; }
  void begin_group(std::string_view, std::string_view) override {}
  void end_group() override {}
};

}  // namespace

void KeyErrors::refuse(std::string_view key, const std::string& message) const {
  throw Error(ErrorKind::kConfig, fmt::format("{}.{}", section_, key), message);
}

void ComponentConfigs::visit(Visitor& v) {
  for (Held& h : held_) h.config.visit(v);
}

void ComponentConfigs::visit_as_groups(Visitor& v) {
  for (Held& h : held_) {
    CountFields fields;
    h.config.visit(fields);
    if (fields.count > 0) v.group(h.name, h.config, fmt::format("{} only", h.name));
  }
}

const ComponentConfig& ComponentConfigs::of(std::string_view name) const {
  for (const Held& h : held_)
    if (h.name == name) return h.config;
  fail_absent();
}

void ComponentConfigs::fail_absent() {
  fail(ErrorKind::kConfig, "component", "no entry of the catalogue has this configuration");
}

}  // namespace lathe
