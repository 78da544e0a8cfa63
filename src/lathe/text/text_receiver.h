// Texts handed on in pieces, so that neither side holds one whole.
#pragma once

#include <string_view>

namespace lathe {

class TextReceiver {
 public:
  virtual ~TextReceiver() = default;
  virtual void add(std::string_view piece) = 0;  // the next bytes of the present text
  virtual void end_text() = 0;                   // the next piece begins another one
};

}  // namespace lathe
