// Pages under docs/ that are written from the catalogues and configuration structs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lathe {

std::string components_markdown();  // docs/components.md
std::string recipe_markdown();      // docs/recipe.md
std::string tasks_markdown();       // docs/tasks.md
// The table in docs/normalisation.md: what the normalisers do to some texts.
std::string normalizers_markdown();

// Which choices of model/combinations.h work together.
std::string combinations_markdown();         // docs/combinations.md
nlohmann::ordered_json combinations_json();  // {"dimensions": [..], "pairs": [every pair]}

}  // namespace lathe
