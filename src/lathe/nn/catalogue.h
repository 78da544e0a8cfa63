// The form of every catalogue in nn/: a table of named components with their source, from which
// look-up, error messages and the documentation's tables are made.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {

template <class Make>
struct CatalogueEntry {
  std::string_view name;
  std::string_view summary;
  std::string_view source;  // paper, arXiv id
  Make make;
};

template <class Make>
std::vector<std::string> names_of(std::span<const CatalogueEntry<Make>> catalogue) {
  std::vector<std::string> names;
  for (const auto& e : catalogue) names.emplace_back(e.name);
  return names;
}

// The entry called `name`; Error kConfig naming the key and the known names.
template <class Make>
const CatalogueEntry<Make>& find_in(std::span<const CatalogueEntry<Make>> catalogue,
                                    std::string_view key, std::string_view name) {
  for (const auto& e : catalogue)
    if (e.name == name) return e;
  const auto names = names_of(catalogue);
  fail(ErrorKind::kConfig, key, "no '{}'.{} Known: {}", name, did_you_mean(name, names),
       join(names, ", "));
}

}  // namespace lathe
