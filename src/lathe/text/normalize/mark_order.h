// Long runs of combining marks, put into canonical order. Internal to text/.
//
// Unicode's forms order the marks behind a letter by their combining class, and the library does
// that by insertion: a run of n marks in descending order costs O(n^2). Text has runs of a few
// marks; runs of thousands are hostile. Such a run is decomposed and sorted here first, stably, in
// O(n log n). What comes out is canonically equivalent to the text (compatibly, for the K forms),
// hence has the same form.
#pragma once

#include <unicode/normalizer2.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lathe {

inline constexpr size_t kLongMarkRun = 128;  // bytes; shorter runs are left alone

// Whether `text` has a long run; if so, `out` becomes the text with all of them decomposed by
// `decomposition` (NFD or NFKD) and sorted. Invalid bytes end a run, and so do characters of the
// LibraryClass bits `foreign`, which stay.
bool order_long_mark_runs(std::string_view text, const icu::Normalizer2& decomposition,
                          uint16_t foreign, std::string& out);

}  // namespace lathe
