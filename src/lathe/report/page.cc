#include "lathe/report/page.h"

#include <fmt/format.h>

#include "lathe/report/chart.h"
#include "lathe/report/html.h"

namespace lathe {
namespace {

constexpr const char* kStyle =
    "*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 "
    "system-ui,-apple-system,'Segoe "
    "UI',sans-serif}:root{--back:#f4f6f9}@media(prefers-color-scheme:dark){:root{--back:#0e131a}}main{max-width:1120px;margin:0 "
    "auto;padding:40px 24px 80px}h1{font-size:30px;margin:0 0 4px}h2{font-size:20px;margin:44px 0 "
    "14px}p{margin:0 0 12px}.soft{color:var(--soft)}.card{background:var(--card);border:1px solid "
    "var(--grid);border-radius:10px;padding:14px}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(132px,1fr));gap:12px;margin-top:26px}.tile "
    "b{display:block;font-size:26px;line-height:1.2}.tile "
    "span{color:var(--soft);font-size:13px}.charts{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px}.wide{grid-column:1/-1}@media(max-width:760px){.charts{grid-template-columns:1fr}}svg{display:block;width:100%;height:auto}.charts "
    ".card{padding:6px}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:7px "
    "12px 7px 0;border-bottom:1px solid var(--grid);vertical-align:top}tr:last-child "
    "td{border-bottom:0}th{font-size:13px;color:var(--soft);font-weight:600}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.bar{height:9px;min-width:2px;border-radius:4px;background:var(--c1);margin-top:8px}pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 "
    "ui-monospace,SFMono-Regular,Menlo,monospace}.text{white-space:pre-wrap;overflow-wrap:anywhere;font-family:Georgia,'Times "
    "New Roman',serif}details summary{cursor:pointer;color:var(--soft)}ul{margin:4px 0 "
    "0;padding-left:22px}code{font-size:14px}";

}  // namespace

std::string html_page(std::string_view title, std::string_view body, std::string_view style) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><meta "
      "name=\"color-scheme\" content=\"light dark\"><title>";
  page += html_escaped(title) + "</title><style>" + chart_style() + kStyle;
  page.append(style).append("</style></head><body><main>\n").append(body);
  return page + "</main></body></html>\n";
}

std::string card(std::string_view body, std::string_view more) {
  return fmt::format("<div class=\"card{}\">{}</div>\n", more, body);
}

std::string tile(std::string_view value, std::string_view name) {
  return fmt::format("<div class=\"card tile\"><b>{}</b><span>{}</span></div>\n",
                     html_escaped(value), html_escaped(name));
}

}  // namespace lathe
