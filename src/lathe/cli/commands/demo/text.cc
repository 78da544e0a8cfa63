#include "lathe/cli/commands/demo/text.h"

#include <algorithm>
#include <map>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/base/utf8.h"
#include "lathe/corpus/documents.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestDocument = 4000;
constexpr int64_t kLeastBytes = 20'000;

// "_\bx" and "x\bx" are an underlined and a bold x of line printers.
std::string without_control(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\b') {
      while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0) == 0x80)
        out.pop_back();
      if (!out.empty()) out.pop_back();
    } else if (c == '\t') {
      out += "    ";
    } else if (c == '\n' || static_cast<unsigned char>(c) >= 0x20) {
      if (c != 0x7F) out += c;
    }
  }
  return out;
}

void end_line(std::string& out) {
  while (!out.empty() && out.back() == ' ') out.pop_back();
  if (!out.empty() && !out.ends_with("\n\n")) out += '\n';
}

// The first word, at most twelve characters of it: scripts without spaces have no words.
std::string opening_of(const std::string& text) {
  size_t end = 0;
  for (int characters = 0; end < text.size() && characters < 12; ++characters) {
    if (text[end] == ' ' || text[end] == '\n') break;
    for (++end; end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80;) ++end;
  }
  return text.substr(0, end);
}

bool is_word(const std::string& s) {
  return !s.empty() &&
         std::ranges::all_of(s, [](unsigned char c) { return std::isalpha(c) || c >= 0x80; });
}

std::vector<std::string> frequent_openings(const std::vector<std::string>& documents) {
  std::map<std::string, int64_t> counts;
  for (const std::string& d : documents)
    if (const std::string word = opening_of(d); is_word(word)) ++counts[word];
  std::vector<std::pair<int64_t, std::string>> order;
  for (const auto& [word, count] : counts) order.emplace_back(-count, word);
  std::ranges::sort(order);
  std::vector<std::string> out;
  for (size_t i = 0; i < std::min<size_t>(3, order.size()); ++i) out.push_back(order[i].second);
  if (out.empty()) out.emplace_back("The");
  return out;
}

}  // namespace

std::string clean_text(std::string_view raw) {
  const std::string text = without_control(replace_invalid_utf8(raw));
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      end_line(out);
    } else {
      out += c;
    }
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  return out;
}

std::vector<std::string> cut_document(const std::string& text, size_t longest) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (text.size() - begin > longest) {
    size_t cut = text.rfind("\n\n", begin + longest);
    if (cut == std::string::npos || cut <= begin + longest / 2)
      cut = text.rfind('\n', begin + longest);
    if (cut == std::string::npos || cut <= begin + longest / 2)
      cut = text.rfind(' ', begin + longest);
    if (cut == std::string::npos || cut <= begin) {
      cut = begin + longest;
      while (cut > begin + 1 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    }
    parts.push_back(text.substr(begin, cut - begin));
    begin = std::min(text.find_first_not_of(" \n", cut), text.size());
  }
  if (begin < text.size()) parts.push_back(text.substr(begin));
  return parts;
}

DemoText read_demo_text(const std::optional<std::string>& path) {
  DemoText text;
  text.source = path.value_or(std::string(kDefaultDemoText));
  std::error_code error;
  require(path || fs::exists(text.source, error), ErrorKind::kIo, text.source,
          "does not exist: install the Debian package `fortunes` (./demo.sh does), or give your "
          "own text with --text PATH");
  const std::vector<std::string> paths = {text.source};
  DocumentConfig config;
  if (!path) config.split = "separator";  // lines with a % alone
  for_each_document(list_text_files(paths).files, config, [&](Document&& document) {
    for (std::string& part : cut_document(clean_text(document.text), kLongestDocument)) {
      text.bytes += static_cast<int64_t>(part.size());
      text.documents.push_back(std::move(part));
    }
    return true;
  });
  require(
      text.bytes >= kLeastBytes, ErrorKind::kData, text.source,
      "holds {} of text, but the demo needs at least {} to learn anything; give more with --text",
      human_bytes(static_cast<double>(text.bytes)), human_bytes(static_cast<double>(kLeastBytes)));
  text.openings = frequent_openings(text.documents);
  return text;
}

void write_corpus(const DemoText& text, const fs::path& file) {
  AtomicFile out(file);
  for (size_t i = 0; i < text.documents.size(); ++i) {
    if (i > 0) out.write(fmt::format("{}\n", kEndOfText));
    out.write(text.documents[i]);
    out.write("\n");
  }
  out.commit();
}

}  // namespace lathe
