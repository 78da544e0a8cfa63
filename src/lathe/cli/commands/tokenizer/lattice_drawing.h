// The lattice of a Unigram model as lines of text.
//
//   ▁ t o k e n s
//   ┗━━━━━━━━━┛      -9.812    93.20 %  ▁token
//               ╹    -4.023    93.20 %  s
//   └─────┘         -12.401     2.15 %  ▁tok
//
// The best segmentation has the heavy lines. Internal to cli/commands/tokenizer/.
#pragma once

#include <string>

#include "lathe/text/tokenizer.h"

namespace lathe {

// A line for the text and one for each piece: those of the best segmentation first, then by where
// they begin. Every character is two columns wide, so Chinese stands as straight as English.
std::string lattice_drawing(const Tokenizer::Lattice& lattice);

}  // namespace lathe
