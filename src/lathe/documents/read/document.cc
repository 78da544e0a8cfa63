#include "lathe/documents/read/document.h"

#include <algorithm>
#include <cctype>

#include "lathe/documents/read/readers.h"

namespace lathe {
namespace {

struct Reader {
  std::string_view extension;
  Document (*read)(std::string_view text);
};

constexpr Reader kReaders[] = {
    {".txt", read_plain},         {".text", read_plain},        {".md", read_markdown},
    {".markdown", read_markdown}, {".rst", read_rst},           {".html", read_html},
    {".htm", read_html},          {".xhtml", read_html},        {".json", read_json},
    {".jsonl", read_json_lines},  {".ndjson", read_json_lines}, {".csv", read_csv},
    {".tsv", read_csv},           {".tex", read_tex},           {".c", read_source},
    {".cc", read_source},         {".cpp", read_source},        {".cxx", read_source},
    {".h", read_source},          {".hh", read_source},         {".hpp", read_source},
    {".py", read_source},         {".js", read_source},         {".mjs", read_source},
    {".ts", read_source},         {".java", read_source},       {".go", read_source},
    {".rs", read_source},         {".rb", read_source},         {".php", read_source},
    {".cs", read_source},         {".swift", read_source},      {".kt", read_source},
    {".scala", read_source},      {".lua", read_source},        {".pl", read_source},
    {".r", read_source},          {".jl", read_source},         {".sh", read_source},
    {".sql", read_source},        {".hs", read_source},         {".ml", read_source},
    {".cu", read_source},         {".css", read_source},        {".cmake", read_source},
    {".toml", read_source},       {".yaml", read_source},       {".yml", read_source},
    {".ini", read_source},        {".proto", read_source},      {".jinja", read_source},
};

const Reader* find(std::string_view extension) {
  std::string low(extension);
  std::ranges::transform(low, low.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto it = std::ranges::find(kReaders, low, &Reader::extension);
  return it == std::end(kReaders) ? nullptr : it;
}

}  // namespace

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const bool carriage = end > begin && text[end - 1] == '\r';
    lines.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(end - (carriage ? 1 : 0))});
    begin = end + 1;
  }
  return lines;
}

std::string_view in(std::string_view text, const Line& line) {
  return text.substr(static_cast<size_t>(line.begin), static_cast<size_t>(line.end - line.begin));
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

void add_lines(Document& out, std::string_view text, const std::vector<Line>& lines, size_t first,
               size_t last, Stretch::Kind kind) {
  if (first >= last) return;
  const std::string_view all = in(text, {lines[first].begin, lines[last - 1].end});
  const std::string_view inner = without_blanks(all);
  if (inner.empty()) return;
  const auto begin = lines[first].begin + (inner.data() - all.data());
  out.stretches.push_back(
      {.kind = kind, .begin = begin, .end = begin + static_cast<int64_t>(inner.size())});
}

Document read_plain(std::string_view text) {
  const std::vector<Line> lines = lines_of(text);
  Document out;
  size_t first = 0;
  for (size_t i = 0; i <= lines.size(); ++i) {
    if (i < lines.size() && !without_blanks(in(text, lines[i])).empty()) continue;
    add_lines(out, text, lines, first, i, Stretch::Kind::kText);
    first = i + 1;
  }
  return out;
}

// A block goes on over empty lines while what follows is indented.
Document read_source(std::string_view text) {
  const std::vector<Line> lines = lines_of(text);
  Document out;
  size_t first = 0;
  bool gap = false;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = in(text, lines[i]);
    const bool empty = without_blanks(line).empty();
    const bool closes = !empty && (line[0] == '}' || line[0] == ')' || line[0] == ']');
    if (gap && !empty && line[0] != ' ' && line[0] != '\t' && !closes) {
      add_lines(out, text, lines, first, i, Stretch::Kind::kCode);
      first = i;
    }
    gap = empty || (gap && empty);
  }
  add_lines(out, text, lines, first, lines.size(), Stretch::Kind::kCode);
  return out;
}

bool can_read(std::string_view extension) { return find(extension) != nullptr; }

std::vector<std::string> readable_extensions() {
  std::vector<std::string> out;
  for (const Reader& reader : kReaders) out.emplace_back(reader.extension);
  return out;
}

Document read_document(std::string_view text, std::string_view extension) {
  const Reader* reader = find(extension);
  Document out = (reader == nullptr ? read_plain : reader->read)(text);
  if (!out.title.empty()) return out;
  for (const Stretch& stretch : out.stretches) {
    if (stretch.kind != Stretch::Kind::kHeading) continue;
    out.title = stretch.words;
    break;
  }
  return out;
}

}  // namespace lathe
