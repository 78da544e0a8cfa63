#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/literal.h"
#include "lathe/config/read_write.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
std::optional<Json> value_of(const T& value) {
  return Json(value);
}
template <class T>
std::optional<Json> value_of(const std::optional<T>& value) {
  if (!value) return std::nullopt;
  return Json(*value);
}

std::optional<Json> value_of(const std::map<int64_t, double>& values) {
  Json table = Json::object();
  for (const auto& [key, value] : values) table[fmt::format("{}", key)] = value;
  return table;
}

class Writer : public Visitor {
 public:
  Writer() { levels_.push_back({"", Json::object()}); }
  Json take() { return std::move(levels_.front().second); }

 protected:
  void on_field(const FieldSpec& field) override {
    auto value = std::visit([](const auto* v) { return value_of(*v); }, field.value);
    if (value) levels_.back().second[std::string(field.name)] = std::move(*value);
  }
  void begin_group(std::string_view name, std::string_view) override {
    levels_.push_back({std::string(name), Json::object()});
  }
  void end_group() override {
    auto [name, tree] = std::move(levels_.back());
    levels_.pop_back();
    levels_.back().second[name] = std::move(tree);
  }

 private:
  std::vector<std::pair<std::string, Json>> levels_;
};

// Collects FieldInfo and the help of each section; the TOML and Markdown writers print from these.
class Describer : public Visitor {
 public:
  struct Section {
    std::string prefix, help;
    std::vector<FieldInfo> fields;
  };
  Describer() { open_.push_back(add_section("", "")); }

  std::vector<FieldInfo> fields;
  std::vector<Section> sections;

 protected:
  void on_field(const FieldSpec& field) override {
    FieldInfo info{.key = sections[open_.back()].prefix + std::string(field.name),
                   .type = type_name(field.value),
                   .value = toml_literal(field.value).value_or(""),
                   .help = std::string(field.help),
                   .limits = limits_text(field.limits),
                   .choices = field.choices,
                   .optional = is_optional(field.value),
                   .required = field.limits.is_required && !is_optional(field.value),
                   .positional = field.positional,
                   .on_resume = field.on_resume};
    for (const auto& other : fields)
      require(other.key != info.key, ErrorKind::kConfig, "describe",
              "visit() lists the key '{}' twice", info.key);
    fields.push_back(info);
    sections[open_.back()].fields.push_back(std::move(info));
  }
  void begin_group(std::string_view name, std::string_view help) override {
    open_.push_back(
        add_section(fmt::format("{}{}.", sections[open_.back()].prefix, name), std::string(help)));
  }
  void end_group() override { open_.pop_back(); }

 private:
  size_t add_section(std::string prefix, std::string help) {
    sections.push_back({std::move(prefix), std::move(help), {}});
    return sections.size() - 1;
  }
  std::vector<size_t> open_;
};

std::string meaning(const FieldInfo& field) {
  std::string text = field.help;
  if (!field.limits.empty()) text += " (" + field.limits + ")";
  if (!field.choices.empty()) text += ": " + join(field.choices, ", ");
  return text;
}

std::string escape_cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

Json write_config(ConfigRef config) {
  Writer writer;
  config.visit(writer);
  return writer.take();
}

std::vector<FieldInfo> describe(ConfigRef config) {
  Describer describer;
  config.visit(describer);
  return std::move(describer.fields);
}

std::string config_to_toml(ConfigRef config) {
  Describer describer;
  config.visit(describer);
  std::string text;
  for (const auto& section : describer.sections) {
    if (!section.prefix.empty()) {
      if (!text.empty()) text += "\n";
      if (!section.help.empty()) text += fmt::format("# {}\n", section.help);
      text += fmt::format("[{}]\n", section.prefix.substr(0, section.prefix.size() - 1));
    }
    for (const auto& field : section.fields) {
      const std::string name = field.key.substr(section.prefix.size());
      text += fmt::format("# {}\n", meaning(field));
      text += field.value.empty() ? fmt::format("# {} is not set\n", name)
                                  : fmt::format("{} = {}\n", name, field.value);
    }
  }
  return text;
}

namespace {

std::string row(const FieldInfo& field) {
  const std::string value = field.required        ? "required"
                            : field.value.empty() ? "not set"
                                                  : fmt::format("`{}`", escape_cell(field.value));
  return fmt::format("| `{}` | {} | {} | {} |", field.key, field.type, value,
                     escape_cell(meaning(field)));
}

const char* word_of(OnResume change) {
  switch (change) {
    case OnResume::kFree:
      return "free";
    case OnResume::kContinues:
      return "continues";
    case OnResume::kBranch:
      return "branch";
    case OnResume::kAnother:
      return "refused";
  }
  return "";
}

}  // namespace

std::string config_markdown(ConfigRef config) {
  std::string text = "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const FieldInfo& field : describe(config)) text += row(field) + "\n";
  return text;
}

std::string recipe_section_markdown(ConfigRef config, OnResume unless_said) {
  Describer describer;
  describer.on_resume(unless_said);
  config.visit(describer);
  std::string text = "| key | type | default | meaning | `--resume` |\n|---|---|---|---|---|\n";
  for (const FieldInfo& field : describer.fields)
    text += fmt::format("{} {} |\n", row(field), word_of(field.on_resume));
  return text;
}

}  // namespace lathe
