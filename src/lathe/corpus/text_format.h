// How the text of a file is laid out, found from its first bytes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace lathe {

enum class TextFormat {
  kPlain,       // text as it is
  kJsonLines,   // a JSON value on each line
  kJsonValues,  // one JSON array whose elements are the values, or values over several lines
};

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// How much of a file's beginning is looked at.
inline constexpr size_t kHeadBytes = 64 << 10;

// Endings of files that are taken from a folder, in lower case without the dot; each may be followed
// by one of kPackedEndings. No ending at all is taken, too.
inline constexpr std::string_view kTextEndings[] = {"txt", "text", "md", "jsonl", "ndjson", "json"};
inline constexpr std::string_view kPackedEndings[] = {"gz", "zst"};
bool is_text_name(const std::filesystem::path& path);
bool is_json_name(const std::filesystem::path& path);  // .json, .jsonl, .ndjson, packed or not

// Why a file that begins so (after unpacking) is no UTF-8 text, and what to do, as a clause behind
// its name; nullopt when it is. Refused are UTF-16 and UTF-32, formats known by their first bytes,
// and content of which more than three tenths are bytes that are not UTF-8 or control characters:
// text with single bytes of another encoding passes.
std::optional<std::string> why_not_text(std::string_view head);

// Whether a later part of a file is worth asking why_not_text about: it is long and of its bytes more
// than one in fifty are control characters, as in binary data. Costs next to nothing.
bool looks_binary(std::string_view part);

// `head` (without a byte order mark) decides: an object or array of JSON in it is JSON whatever the
// file is called. The name decides only where the head is no beginning of either: .json, .jsonl and
// .ndjson are JSON all the same, so that damage in them is found.
TextFormat text_format(std::string_view head, const std::filesystem::path& path);

}  // namespace lathe
