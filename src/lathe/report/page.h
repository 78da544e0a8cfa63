// The frame of a self-contained HTML page, light and dark, that fetches nothing.
#pragma once

#include <string>
#include <string_view>

namespace lathe {

// The whole document around `body`, which is HTML. `style` is CSS that only this page needs.
std::string html_page(std::string_view title, std::string_view body, std::string_view style = {});

// A framed box around `body`, which is HTML; `more` names further classes: " wide".
std::string card(std::string_view body, std::string_view more = {});

// A number and what it is, for a <div class="tiles">. Both are text.
std::string tile(std::string_view value, std::string_view name);

}  // namespace lathe
