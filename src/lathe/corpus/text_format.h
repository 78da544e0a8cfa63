// The format of a text file, detected from its first bytes.
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
// The number of bytes at the beginning of a file that are examined.
inline constexpr size_t kHeadBytes = 64 << 10;

// Extensions of files that are read from a folder, in lower case without the dot; each may be
// followed by one of kPackedEndings. Files without an extension are also read.
inline constexpr std::string_view kTextEndings[] = {"txt", "text", "md", "jsonl", "ndjson", "json"};
inline constexpr std::string_view kPackedEndings[] = {"gz", "zst"};
bool is_text_name(const std::filesystem::path& path);
bool is_json_name(const std::filesystem::path& path);  // .json, .jsonl, .ndjson, compressed or not

// Why a file with this beginning (after decompression) is not UTF-8 text, and what to do, as a
// clause that follows its name; nullopt if it is. It refuses UTF-16 and UTF-32, formats known by
// their first bytes, and content of which more than three tenths are control characters or bytes
// that are not UTF-8: text with single bytes of another encoding passes.
std::optional<std::string> why_not_text(std::string_view head);

// Whether a later part of a file should be checked with why_not_text: it is long, and more than one
// in fifty of its bytes are control characters, as in binary data. This is very cheap.
bool looks_binary(std::string_view part);

// `head` (without a byte order mark) decides: if it begins a JSON object or array, the file is JSON
// whatever its name. The name decides only if the head begins neither: .json, .jsonl and .ndjson
// are JSON even then, so that damage in them is found.
TextFormat text_format(std::string_view head, const std::filesystem::path& path);

}  // namespace lathe
