// Pages under docs/ that are written from the catalogues and configuration structs.
#pragma once

#include <string>

namespace lathe {

std::string components_markdown();  // docs/components.md
std::string recipe_markdown();      // docs/recipe.md

}  // namespace lathe
