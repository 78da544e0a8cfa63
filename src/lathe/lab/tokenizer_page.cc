#include "lathe/lab/tokenizer_page.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "lathe/base/printable.h"
#include "lathe/base/strings.h"
#include "lathe/report/html.h"
#include "lathe/report/page.h"

namespace lathe {
namespace {

constexpr size_t kSentences = 8;
constexpr const char* kStyle =
    ".cut{overflow-wrap:anywhere;line-height:1.9;font:14px/1.9 "
    "ui-monospace,SFMono-Regular,Menlo,monospace}.cut span{border-radius:3px;padding:2px "
    "0}.p0{background:color-mix(in srgb,var(--c1) 20%,transparent)}.p1{background:color-mix(in "
    "srgb,var(--c2) 20%,transparent)}.cut i{opacity:.45;font-style:normal}.key{color:var(--soft);"
    "width:44px}.key+td{width:60px}.length{min-width:90px;width:18%}h3{font-size:15px;margin:0 0 6px}.card{margin-bottom:14px}";

// Escaped, with spaces, tabs and line ends that can be seen.
std::string visible_html(std::string_view piece) {
  std::string html;
  std::string plain;
  const auto put_plain = [&] { html += html_escaped(printable(std::exchange(plain, {}))); };
  for (const char c : piece) {
    const char* sign = c == ' ' ? "·" : c == '\t' ? "→" : c == '\n' ? "⏎" : nullptr;
    if (sign == nullptr) {
      plain += c;
      continue;
    }
    put_plain();
    html += fmt::format("<i>{}</i>{}", sign, c == '\n' ? "<br>" : "");
  }
  put_plain();
  return html;
}

std::string cut_html(const Tokenizer& tokenizer, std::string_view text) {
  std::string html;
  size_t i = 0;
  for (const int32_t id : tokenizer.encode(text))
    html += fmt::format("<span class=\"p{}\" title=\"{}\">{}</span>", i++ % 2, id,
                        visible_html(tokenizer.token_bytes(id)));
  return html;
}

std::string cut_card(const TokenizerComparison& comparison, const std::string& title,
                     std::string_view text) {
  std::string rows;
  for (size_t t = 0; t < comparison.tokenizers().size(); ++t) {
    const Tokenizer& tokenizer = comparison.tokenizers()[t].tokenizer;
    rows += fmt::format(
        "<tr><td class=\"key\">[{}]</td><td class=\"n\">{}</td><td class=\"cut\" "
        "dir=\"auto\">{}</td></tr>\n",
        t + 1, tokenizer.encode(text).size(), cut_html(tokenizer, text));
  }
  return card(fmt::format("<h3>{}</h3><table>{}</table>", html_escaped(title), rows));
}

std::string name_of(const ComparedText& text) {
  return text.group.empty() ? text.path : text.group;
}

// Rows by the bytes per token of the first tokenizer, the fewest first.
std::vector<size_t> by_length(const TokenizerComparison& comparison) {
  std::vector<size_t> order(comparison.texts().size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(
      order, {}, [&](size_t i) { return comparison.texts()[i].lengths[0].bytes_per_token(); });
  return order;
}

std::string tiles(const TokenizerComparison& comparison, size_t t, const VocabularyFacts& facts,
                  int64_t hidden_size) {
  const NamedTokenizer& named = comparison.tokenizers()[t];
  const auto count = [](int64_t n) { return human_count(static_cast<double>(n)); };
  const TextLength all = comparison.total(t);
  return fmt::format("<h2>[{}] {}</h2>\n<div class=\"tiles\">", t + 1, html_escaped(named.path)) +
         tile(count(named.tokenizer.vocab_size()), "tokens in the vocabulary") +
         tile(fmt::format("{:.2f}", all.bytes_per_token()), "bytes per token") +
         tile(fmt::format("{:.3f}", all.tokens_per_character()), "tokens per character") +
         tile(count(facts.unused.count), "pieces that no text used") +
         tile(count(facts.unreachable.count), "pieces that are unreachable") +
         tile(count(facts.undertrained.count), "undertrained candidates") +
         tile(count(named.tokenizer.vocab_size() * hidden_size),
              fmt::format("embedding parameters at width {}", hidden_size)) +
         "</div>\n";
}

// Without a bar where text is lost: it would be the longest of all.
std::string length_cells(const TextLength& length, double most) {
  const double value = length.bytes_per_token();
  if (length.is_lossy())
    return fmt::format("<td class=\"n\">? {:.2f}</td><td class=\"length\"></td>", value);
  return fmt::format(
      "<td class=\"n\">{:.2f}</td><td class=\"length\"><div class=\"bar\" "
      "style=\"width:{:.1f}%\"></div></td>",
      value, 100 * value / most);
}

std::string lengths_table(const TokenizerComparison& comparison) {
  double most = 1e-9;
  for (const ComparedText& text : comparison.texts())
    for (const TextLength& length : text.lengths)
      if (!length.is_lossy()) most = std::max(most, length.bytes_per_token());
  std::string rows = "<tr><th>text</th>";
  for (size_t t = 0; t < comparison.tokenizers().size(); ++t)
    rows += fmt::format("<th colspan=\"2\">[{}]</th>", t + 1);
  rows += "</tr>\n";
  for (const size_t i : by_length(comparison)) {
    const ComparedText& text = comparison.texts()[i];
    rows += fmt::format("<tr><td dir=\"auto\">{}</td>", html_escaped(name_of(text)));
    for (const TextLength& length : text.lengths) rows += length_cells(length, most);
    rows += "</tr>\n";
  }
  return "<h2>Bytes per token</h2>\n<p class=\"soft\">A question mark: more than 1 % of the tokens "
         "are unknown, so text is lost.</p>\n" +
         card("<table>" + rows + "</table>");
}

// Sentences of texts from the one that is cut the finest to the one that is cut the least.
std::string sentences(const TokenizerComparison& comparison) {
  const std::vector<size_t> order = by_length(comparison);
  const size_t shown = std::min(order.size(), kSentences);
  std::string html = "<h2>The same sentences, cut by each</h2>\n";
  for (size_t k = 0; k < shown; ++k) {
    const size_t at = shown > 1 ? k * (order.size() - 1) / (shown - 1) : 0;
    const ComparedText& text = comparison.texts()[order[at]];
    html += cut_card(comparison, name_of(text), text.excerpt);
  }
  for (const CutSample& sample : kCutSamples)
    html += cut_card(comparison, sample.title, sample.text);
  return html;
}

}  // namespace

std::string tokenizer_page(const TokenizerComparison& comparison,
                           const std::vector<VocabularyFacts>& facts, int64_t hidden_size) {
  std::string body = "<h1>Tokenizers compared</h1>\n";
  for (size_t t = 0; t < facts.size(); ++t) body += tiles(comparison, t, facts[t], hidden_size);
  return html_page("Tokenizers compared", body + sentences(comparison) + lengths_table(comparison),
                   kStyle);
}

}  // namespace lathe
