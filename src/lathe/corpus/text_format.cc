#include "lathe/corpus/text_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "lathe/base/utf8.h"
#include "lathe/corpus/json_scanner.h"

namespace lathe {
namespace {

using namespace std::string_view_literals;
namespace fs = std::filesystem;

// Formats that testers and users meet in folders of text, each with what makes text of it.
struct ForeignFormat {
  std::string_view magic;
  size_t at;
  std::string_view what, advice;
};

constexpr ForeignFormat kForeignFormats[] = {
    {"\xFF\xFE\0\0"sv, 0, "UTF-32 text", "convert it with `iconv -f UTF-32 -t UTF-8`"},
    {"\0\0\xFE\xFF"sv, 0, "UTF-32 text", "convert it with `iconv -f UTF-32 -t UTF-8`"},
    {"\xFF\xFE"sv, 0, "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"},
    {"\xFE\xFF"sv, 0, "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"},
    {"\xFD"
     "7zXZ\0"sv,
     0, "packed with xz", "unpack it with `xz -d`, or pack it with gzip or zstd"},
    {"1AY&SY"sv, 4, "packed with bzip2", "unpack it with `bzip2 -d`, or pack it with gzip or zstd"},
    {"\x04\x22\x4D\x18"sv, 0, "packed with lz4",
     "unpack it with `lz4 -d`, or pack it with gzip or zstd"},
    {"\x1F\x8B\x08"sv, 0, "packed with gzip twice", "unpack it once"},
    {"\x28\xB5\x2F\xFD"sv, 0, "packed with zstd twice", "unpack it once"},
    {"PK\x03\x04"sv, 0, "a zip archive (or a document that is one, such as .docx or .epub)",
     "unpack it and give the text files in it"},
    {"7z\xBC\xAF\x27\x1C"sv, 0, "a 7z archive", "unpack it and give the text files in it"},
    {"Rar!\x1A\x07"sv, 0, "a rar archive", "unpack it and give the text files in it"},
    {"ustar"sv, 257, "a tar archive", "unpack it with `tar -x` and give the files in it"},
    {"%PDF-"sv, 0, "a PDF document", "take the text out with `pdftotext`"},
    {"PAR1"sv, 0, "a Parquet table", "write its text column as JSON lines"},
    {"SQLite format 3\0"sv, 0, "an SQLite database", "write its text column as JSON lines"},
    {"{\\rtf"sv, 0, "an RTF document", "save it as plain text"},
};

bool is_control(uint32_t c) {
  if (c >= 0x20) return c == 0x7F;
  return (c < '\b' || c > '\r') && c != 0x1B;  // white space, back space and escape are in texts
}

struct Census {
  size_t bytes = 0, bad = 0, zeros_even = 0, zeros_odd = 0;
};

Census take_census(std::string_view head) {
  Census n;
  n.bytes = head.size();
  const uint8_t *begin = as_bytes(head), *p = begin, *end = begin + head.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    n.bad += c.value == kInvalidByte || is_control(c.value);
    if (c.value == 0) ++((p - begin) % 2 == 0 ? n.zeros_even : n.zeros_odd);
    p += c.size;
  }
  return n;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

template <class List>
bool contains(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// "x.jsonl.gz" -> "jsonl"; "" for a name without an ending.
std::string ending_of(fs::path path) {
  const auto last = [&] {
    const std::string extension = lower(path.extension().string());
    return extension.empty() ? extension : extension.substr(1);
  };
  if (contains(kPackedEndings, last())) path = path.stem();
  return last();
}

// The first bytes of a file, which its name does not explain.
class Beginning {
 public:
  explicit Beginning(std::string_view head) : text_(head), is_cut_(head.size() >= kHeadBytes) {
    skip_space();
  }
  bool starts_with(char c) const { return text_.starts_with(c); }

  bool is_object() const {
    Beginning rest = *this;
    return rest.skip('{') && (rest.starts_with('}') || rest.is_string_before(":"));
  }
  // Of objects or strings.
  bool is_array() const {
    Beginning rest = *this;
    return rest.skip('[') &&
           (rest.starts_with(']') || rest.is_object() || rest.is_string_before(",]"));
  }
  // Whether its first value goes on behind the end of the line.
  bool spans_lines() const {
    JsonScanner scanner;
    scanner.scan(text_.substr(0, text_.find('\n')));
    return text_.find('\n') != std::string_view::npos && scanner.depth() > 0;
  }

 private:
  bool is_string_before(std::string_view next) const {
    if (!starts_with('"')) return text_.empty() && is_cut_;
    Beginning rest = *this;
    JsonScanner scanner;
    rest.text_.remove_prefix(scanner.scan(text_));
    rest.skip_space();
    if (rest.text_.empty()) return is_cut_;
    return next.find(rest.text_.front()) != std::string_view::npos;
  }
  bool skip(char c) {
    if (!starts_with(c)) return false;
    text_.remove_prefix(1);
    skip_space();
    return true;
  }
  void skip_space() {
    while (!text_.empty() && is_json_space(text_.front())) text_.remove_prefix(1);
  }

  std::string_view text_;
  bool is_cut_;
};

}  // namespace

bool is_text_name(const fs::path& path) {
  const std::string ending = ending_of(path);
  return ending.empty() || contains(kTextEndings, ending);
}

bool is_json_name(const fs::path& path) {
  const std::string ending = ending_of(path);
  return ending == "json" || ending == "jsonl" || ending == "ndjson";
}

std::optional<std::string> why_not_text(std::string_view head) {
  for (const ForeignFormat& f : kForeignFormats)
    if (head.size() >= f.at && head.substr(f.at).starts_with(f.magic))
      return fmt::format("is {}, expected UTF-8 text; {}", f.what, f.advice);
  head.remove_suffix(incomplete_utf8_tail(head));
  const Census n = take_census(head);
  const size_t zeros = n.zeros_even + n.zeros_odd;
  if (zeros * 10 > n.bytes * 3 && std::min(n.zeros_even, n.zeros_odd) * 20 < zeros)
    return fmt::format(
        "seems to be UTF-16 text, expected UTF-8; convert it with `iconv -f UTF-16{} -t UTF-8`",
        n.zeros_odd > n.zeros_even ? "LE" : "BE");
  if (n.bad * 10 > n.bytes * 3)
    return fmt::format(
        "is not UTF-8 text: {} of its first {} bytes are invalid or control characters; leave the "
        "file out, or convert it with `iconv -t UTF-8` if it is text in another encoding",
        n.bad, n.bytes);
  return std::nullopt;
}

bool looks_binary(std::string_view part) {
  constexpr size_t kShortest = 4096;
  if (part.size() < kShortest) return false;
  size_t controls = 0;  // a loop without branches: the compiler makes vectors of it
  for (const char c : part) {
    const auto byte = static_cast<uint8_t>(c);
    controls += static_cast<size_t>(byte < '\b') + static_cast<size_t>(byte > '\r' && byte < ' ');
  }
  return controls * 50 > part.size();
}

TextFormat text_format(std::string_view head, const fs::path& path) {
  const Beginning beginning(head);
  const std::string ending = ending_of(path);
  const bool object = beginning.is_object();
  if (!object && !beginning.is_array() && !is_json_name(path)) return TextFormat::kPlain;
  if (beginning.starts_with('[')) return TextFormat::kJsonValues;
  if (ending == "jsonl" || ending == "ndjson") return TextFormat::kJsonLines;
  return object && !beginning.spans_lines() ? TextFormat::kJsonLines : TextFormat::kJsonValues;
}

}  // namespace lathe
