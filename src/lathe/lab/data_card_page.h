// A data card (train/example/data_card.h, as its to_json()) for people: as a page, as Markdown, and as the part
// of a run's page.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace lathe {

// A whole HTML document.
std::string data_card_page(const nlohmann::ordered_json& card, const std::string& title);
std::string data_card_markdown(const nlohmann::ordered_json& card, const std::string& title);
// HTML for another page: counts, duplicates, what was left out and lengths in tokens.
std::string data_card_summary(const nlohmann::ordered_json& card);

}  // namespace lathe
