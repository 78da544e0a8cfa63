// The form of every catalogue: a table of entries with a `name`, from which look-up, errors for
// unknown names, help and the documentation's tables are made. Most entries are a CatalogueEntry;
// those with more columns are structs of their own. All functions are pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lathe/base/error.h"

namespace lathe {

template <class Make>
struct CatalogueEntry {
  std::string_view name;
  std::string_view summary;
  std::string_view source;  // paper, arXiv id
  Make make;
};

// Throws `kind` at `key` for a name that is not in `known`, with the nearest one and the list.
[[noreturn]] void fail_unknown_name(ErrorKind kind, std::string_view key, std::string_view name,
                                    std::span<const std::string> known);

// `table` is a range of entries or of pointers to entries, here and below.
template <class Table>
std::vector<std::string> names_of(const Table& table) {
  std::vector<std::string> names;
  for (const auto& e : table) {
    if constexpr (std::is_pointer_v<std::decay_t<decltype(e)>>)
      names.emplace_back(e->name);
    else
      names.emplace_back(e.name);
  }
  return names;
}

// The entry called `name`; throws kConfig naming the key, the nearest name and the known ones.
template <class Table>
const auto& find_in(const Table& table, std::string_view key, std::string_view name) {
  for (const auto& e : table) {
    if constexpr (std::is_pointer_v<std::decay_t<decltype(e)>>) {
      if (e->name == name) return *e;
    } else {
      if (e.name == name) return e;
    }
  }
  fail_unknown_name(ErrorKind::kConfig, key, name, names_of(table));
}

}  // namespace lathe
