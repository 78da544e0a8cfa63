// Extended grapheme clusters: what a reader takes for one character (Unicode Standard Annex 29,
// rules GB3 to GB13 and GB999, with ICU's properties; not GB9c, which Unicode 15.1 added).
//
// A byte that is not UTF-8 is a cluster of its own. Thread-safe.
#pragma once

#include <cstdint>

namespace lathe {

// The end of the cluster that begins at `p`; requires p < end and that a cluster begins there.
const uint8_t* grapheme_end(const uint8_t* p, const uint8_t* end);

}  // namespace lathe
