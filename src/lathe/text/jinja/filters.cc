#include "lathe/text/jinja/filters.h"

#include <array>

namespace lathe::jinja {
namespace {

std::array<std::span<const Builtin>, 4> all_tables() {
  return {text_filters(), number_filters(), list_filters(), selection_filters()};
}

}  // namespace

const Builtin* find_filter(std::string_view name) {
  for (const auto& table : all_tables())
    for (const Builtin& filter : table)
      if (filter.name == name) return &filter;
  return nullptr;
}

std::vector<std::string> filter_names() {
  std::vector<std::string> names;
  for (const auto& table : all_tables())
    for (const Builtin& filter : table) names.emplace_back(filter.name);
  return names;
}

}  // namespace lathe::jinja
