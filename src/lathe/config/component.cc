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

KeyErrors KeyErrors::parent() const {
  const size_t dot = section_.rfind('.');
  return KeyErrors(dot == std::string::npos ? section_ : section_.substr(0, dot));
}

KeyErrors KeyErrors::child(std::string_view section) const {
  return KeyErrors(fmt::format("{}.{}", section_, section));
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

ComponentConfig& ComponentConfigs::of(std::string_view name) {
  for (Held& h : held_)
    if (h.name == name) return h.config;
  fail_absent();
}

const ComponentConfig& ComponentConfigs::of(std::string_view name) const {
  return const_cast<ComponentConfigs*>(this)->of(name);
}

void ComponentConfigs::fail_absent() {
  fail(ErrorKind::kConfig, "component", "no entry of the catalogue has this configuration");
}

}  // namespace lathe
